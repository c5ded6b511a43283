"""The cost of router_logits: a router's score of each expert, for each token. All FLOP are gating."""

from dataclasses import replace

from capratio.cost.flop import Flop
from capratio.cost.op_formulas.leaf_linear import leaf_linear, leaf_linear_weight_gradient
from capratio.cost.operation import OperationCost


def router_logits(tokens: int, in_features: int, experts: int, *, itemsize: int) -> OperationCost:
    """The cost of logits = x W^T: 2NpE gating FLOP; each of its two gradients is the same operation and costs as much.

    Args: tokens N, in_features p, experts E: counts. itemsize: bytes of an element of x and W; logits have 4 or more.
    """
    return OperationCost(
        flop=Flop(gating=2 * tokens * in_features * experts),
        read_bytes=(tokens + experts) * in_features * itemsize,
        written_bytes=tokens * experts * max(itemsize, 4),
    )


def group_router_logits(tokens: int, in_features: int, experts: int, *, visited: int, itemsize: int) -> OperationCost:
    """The cost of the logits of each token's own group: 2NpM gating FLOP, N ceil(log2 N) routing steps.

    Args: as leaf_linear, with the M experts of a group as its outputs and the visited groups as its nodes.
    """
    return _as_gating(leaf_linear(tokens, in_features, experts, visited=visited, itemsize=itemsize))


def group_router_logits_weight_gradient(
    tokens: int, in_features: int, experts: int, *, visited: int, groups: int, itemsize: int
) -> OperationCost:
    """The cost of the gradient of group_router_logits to all groups' matrices. Args: as leaf_linear_weight_gradient."""
    cost = leaf_linear_weight_gradient(tokens, in_features, experts, visited=visited, rows=groups, itemsize=itemsize)
    return _as_gating(cost)


def _as_gating(cost: OperationCost) -> OperationCost:
    return replace(cost, flop=Flop(gating=cost.flop.product))
