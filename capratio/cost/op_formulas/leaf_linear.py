"""The cost of leaf_linear: every token multiplied by the stored matrix of its node.

Tokens are sorted by node and each visited node's matrix multiplies its tokens, forward and in both gradients.
"""

from capratio.cost.flop import Flop
from capratio.cost.op_formulas.routing import INDEX_BYTES, sort_operations, touched_rows
from capratio.cost.operation import OperationCost


def leaf_linear(tokens: int, in_features: int, out_features: int, *, visited: int, itemsize: int) -> OperationCost:
    """The cost of y_n = W[node_n] x_n: 2Npq product FLOP, N ceil(log2 N) routing steps.

    Args: tokens N, in_features p, out_features q, visited (distinct nodes): counts. itemsize: bytes of an element.
    """
    return OperationCost(
        flop=Flop(product=2 * tokens * in_features * out_features),
        routing_operations=sort_operations(tokens),
        # x and its sorted copy, the visited matrices, the sorted products; the node, and the sort's permutation twice.
        read_bytes=(2 * tokens * in_features + visited * in_features * out_features + tokens * out_features) * itemsize
        + 3 * tokens * INDEX_BYTES,
        # The sorted copy of x, the sorted products, the output; the permutation.
        written_bytes=(tokens * in_features + 2 * tokens * out_features) * itemsize + tokens * INDEX_BYTES,
        rows_gathered=tokens,
    )


def leaf_linear_input_gradient(
    tokens: int, in_features: int, out_features: int, *, visited: int, itemsize: int
) -> OperationCost:
    """The cost of dx_n = W[node_n]^T dy_n: as leaf_linear with p and q exchanged."""
    return leaf_linear(tokens, out_features, in_features, visited=visited, itemsize=itemsize)


def leaf_linear_weight_gradient(
    tokens: int, in_features: int, out_features: int, *, visited: int, rows: int, itemsize: int
) -> OperationCost:
    """The cost of dW[r] = sum over the tokens n of node r of dy_n x_n^T: 2Npq product FLOP, N ceil(log2 N) routing
    steps.

    Args: as leaf_linear; rows R: rows of the dense gradient, all of which are written as zeros first.
    """
    matrix = in_features * out_features
    token_elements = tokens * (in_features + out_features)
    return OperationCost(
        flop=Flop(product=2 * tokens * matrix),
        routing_operations=sort_operations(tokens),
        # x, dy and their sorted copies; the node, and the sort's permutation twice.
        read_bytes=2 * token_elements * itemsize + 3 * tokens * INDEX_BYTES,
        # The sorted copies, the zeros, the visited gradients; the permutation.
        written_bytes=(token_elements + (rows + visited) * matrix) * itemsize + tokens * INDEX_BYTES,
        rows_gathered=2 * tokens,
    )


def leaf_linear_touched_gradient(
    tokens: int, in_features: int, out_features: int, *, visited: int, rows: int, itemsize: int
) -> OperationCost:
    """The cost of the visited rows of dW alone: they are found, then leaf_linear_weight_gradient of min(N, rows) rows.

    Args: as leaf_linear_weight_gradient.
    """
    most = min(tokens, rows)
    found = touched_rows(tokens, rows)
    return found + leaf_linear_weight_gradient(
        tokens, in_features, out_features, visited=visited, rows=most, itemsize=itemsize
    )
