"""The steps that layers take in plain torch: a dense product with its bias, its gradients, and arithmetic beside it."""

from capratio.cost.flop import Flop
from capratio.cost.operation import OperationCost


def linear(tokens: int, in_features: int, out_features: int, *, bias: bool = True) -> OperationCost:
    """The cost of W x, 2Npq product FLOP, and of adding a bias, Nq. Args: N, p, q: counts."""
    added = tokens * out_features if bias else 0
    return OperationCost(Flop(product=2 * tokens * in_features * out_features, bias=added))


def linear_gradients(tokens: int, in_features: int, out_features: int, *, bias: bool = True) -> OperationCost:
    """The cost of the gradients of ``linear`` to x, to W, and to the bias, a sum of N terms for each output."""
    summed = sum_of(tokens * out_features, out_features) if bias else 0
    return OperationCost(Flop(product=4 * tokens * in_features * out_features, bias=summed))


def sum_of(terms: int, sums: int) -> int:
    """Adds of so many terms to so many sums; 0 where there are no terms."""
    return max(terms - sums, 0)
