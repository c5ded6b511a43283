"""The cost of whole fast feedforward layers, as a plain loop over tokens computes them: the sum of their parts."""

from capratio.cost.flop import Flop
from capratio.cost.op_formulas.leaf_linear import leaf_linear
from capratio.cost.op_formulas.tree_descent import neuron_path, tree_descent
from capratio.cost.op_formulas.unit_lookup import unit_lookup
from capratio.cost.operation import OperationCost

# x Φ(x) = x (1 + erf(x / √2)) / 2.
GELU_FLOP = 5


def leaf_feedforward(
    tokens: int, in_features: int, out_features: int, depth: int, hidden: int, *, itemsize: int
) -> OperationCost:
    """The cost of y = W2[leaf] relu(W1[leaf] x + b1[leaf]): a descent, two products and a bias between them.

    2Nh (p + q) product, N k (2p + 1) gating and N h overhead FLOP.

    Args: tokens N, in_features p, out_features q, depth k, hidden h: counts. itemsize: bytes of an element.
    """
    units = tokens * hidden
    return (
        tree_descent(tokens, in_features, depth, itemsize=itemsize)
        # Each token reads the matrices of its leaf.
        + leaf_linear(tokens, in_features, hidden, visited=tokens, itemsize=itemsize)
        + leaf_linear(tokens, hidden, out_features, visited=tokens, itemsize=itemsize)
        + OperationCost(
            flop=Flop(overhead=units),
            routing_operations=units,
            read_bytes=3 * units * itemsize,
            written_bytes=2 * units * itemsize,
            rows_gathered=tokens,
        )
    )


def path_feedforward(tokens: int, in_features: int, out_features: int, depth: int, *, itemsize: int) -> OperationCost:
    """The cost of y = sum over l = 0..k of gelu(w_in[node_l] . x) w_out[node_l]: a path of neurons and its sum.

    2N (k + 1) (p + q) product FLOP, and 5 overhead FLOP for each gelu.

    Args: as leaf_feedforward.
    """
    values = tokens * (depth + 1)
    return (
        neuron_path(tokens, in_features, depth, itemsize=itemsize)
        + OperationCost(
            flop=Flop(overhead=GELU_FLOP * values), read_bytes=values * itemsize, written_bytes=values * itemsize
        )
        + unit_lookup(tokens, depth + 1, out_features, 1, itemsize=itemsize)
    )
