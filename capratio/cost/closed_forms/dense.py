"""The dense layer y = W x, against which every capacity ratio is taken."""

from collections.abc import Sequence

from capratio.cost.closed_forms.contract import ClosedForm, Number, products
from capratio.cost.flop import Flop
from capratio.cost.operation import OperationCost
from capratio.cost.spec import LayerSpec, VisitedNodes


def linear(spec: LayerSpec, tokens: int, pass_: str) -> OperationCost:
    """The product of a plain linear layer: 2Npq forward, 6Npq with its two gradients; no routing."""
    return OperationCost(Flop(product=products(pass_) * 2 * tokens * spec.in_features * spec.out_features))


class DenseForm(ClosedForm):
    """p q weights, 2pq FLOP a token; every other layer equals it at depth 0 (the tree-bias layer but for its root).

    Source: a matrix product of 1 x p and p x q, 1 multiply-add = 2 FLOP.
    """

    def weight_parameters(self, spec: LayerSpec) -> int:
        """p q."""
        return spec.in_features * spec.out_features

    def touched_weight_parameters(self, spec: LayerSpec, levels: Sequence[Number]) -> Number:
        """All p q of them, as soon as there is a token: the one root."""
        return levels[0] * (spec.in_features * spec.out_features)

    def law(self, spec: LayerSpec, order: str) -> Flop:
        """2pq product FLOP."""
        return Flop(product=2 * spec.in_features * spec.out_features)

    def overhead_flop_per_unit(self, spec: LayerSpec, order: str) -> int:
        """0: there are no nodes."""
        return 0

    def executed(self, spec: LayerSpec, visited: VisitedNodes, pass_: str, order: str) -> OperationCost:
        """2Npq product FLOP forward, 6Npq in training."""
        return linear(spec, visited.tokens, pass_)
