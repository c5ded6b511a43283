"""The cost of walking down a tree of hyperplanes, one node a level, each of which chooses the next one.

A decision is a compare, and a child's row, 2n + 1 or 2n + 2, takes three index steps.
"""

from capratio.cost.flop import Flop
from capratio.cost.op_formulas.routing import INDEX_BYTES
from capratio.cost.operation import OperationCost

STEPS = 4


def tree_descent(tokens: int, in_features: int, depth: int, *, itemsize: int) -> OperationCost:
    """The cost of the leaf that k decisions lead to, each by w . x + o > 0: N k (2p + 1) gating FLOP.

    Routing: 4 steps a decision, and one that numbers the leaf from 0: N (4k + 1).

    Args: tokens N, in_features p, depth k: counts. itemsize: bytes of an element.
    """
    decisions = tokens * depth
    return OperationCost(
        flop=Flop(gating=decisions * (2 * in_features + 1)),
        routing_operations=STEPS * decisions + tokens,
        # The token, the gathered hyperplane and its offset, the score, and the node, in each step.
        read_bytes=decisions * ((2 * in_features + 2) * itemsize + INDEX_BYTES),
        written_bytes=decisions * itemsize + (decisions + tokens) * INDEX_BYTES,
        rows_gathered=decisions,
    )


def neuron_path(tokens: int, in_features: int, depth: int, *, itemsize: int) -> OperationCost:
    """The cost of the k + 1 neurons on a way down whose own values decide: 2N (k + 1) p product FLOP, 4Nk steps.

    Args: as tree_descent.
    """
    values = tokens * (depth + 1)
    return OperationCost(
        flop=Flop(product=2 * values * in_features),
        routing_operations=STEPS * tokens * depth,
        read_bytes=values * ((2 * in_features + 1) * itemsize + INDEX_BYTES),
        written_bytes=values * (itemsize + INDEX_BYTES),
        rows_gathered=values,
    )
