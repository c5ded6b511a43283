"""The fast feedforward layer: a tree leads a token to one small network, or to one neuron a level."""

from collections.abc import Sequence

from capratio.cost.closed_forms.contract import ANY_ITEMSIZE, ClosedForm, Number
from capratio.cost.flop import Flop
from capratio.cost.op_formulas import (
    leaf_linear,
    leaf_linear_input_gradient,
    leaf_linear_weight_gradient,
    neuron_path,
    unit_lookup,
    unit_lookup_input_gradient,
    unit_lookup_weight_gradient,
)
from capratio.cost.op_formulas.feedforward import GELU_FLOP
from capratio.cost.operation import OperationCost
from capratio.cost.spec import LayerSpec, VisitedNodes, one_token

# Of gelu's derivative, Φ(x) + x φ(x) with φ(x) = c exp(-x² / 2), times the incoming gradient.
GELU_GRADIENT_FLOP = 11


class FastFeedforwardForm(ClosedForm):
    """Of 2^k leaf networks, or of 2^(k+1) - 1 neurons, a token computes one, or k + 1.

    ``leaf``: y = W2 relu(W1 x + b1) + b2 of the leaf, h units: 2^k (h p + h + q h + q) weights, of which a token takes
    2h (p + q) product FLOP and h + q to add both biases; k hyperplanes with offsets are its gate, k (2p + 1) gating
    FLOP. ``path``: y = sum over l = 0..k of gelu(w_in[node_l] . x) w_out[node_l]: (2^(k+1) - 1) (p + q) weights, 2 (k +
    1) (p + q) product FLOP, and 5 for each gelu. The capacity ratio is taken over a dense layer of p and q, although a
    dense network of as many units would be the nearer relative.

    Source: Belcak & Wattenhofer 2023, arXiv 2308.14711 and 2311.10770, as in their code; exact counts are derived.
    """

    def weight_parameters(self, spec: LayerSpec) -> int:
        """2^k (h p + h + q h + q), without the last q where there is no bias; on a path (2^(k+1) - 1) (p + q)."""
        return spec.nodes * _node(spec)

    def touched_weight_parameters(self, spec: LayerSpec, levels: Sequence[Number]) -> Number:
        """Those of each visited leaf, or of each visited neuron."""
        return (levels[-1] if spec.form == "leaf" else sum(levels)) * _node(spec)

    def law(self, spec: LayerSpec, order: str) -> Flop:
        """2h (p + q) product and h + q overhead; on a path 2 (k + 1) (p + q) and 5 (k + 1)."""
        return self.executed(spec, one_token(spec), "forward", order).flop

    def overhead_flop_per_unit(self, spec: LayerSpec, order: str) -> int:
        """The whole token's overhead, since the tree belongs to no unit."""
        return self.law(spec, order).overhead

    def executed(self, spec: LayerSpec, visited: VisitedNodes, pass_: str, order: str) -> OperationCost:
        """Two products with their gradients; each bias costs its adds again to sum its gradient.

        Of the decisions, those of a leaf's way down are the gate's and stand there.
        """
        training = pass_ == "train"
        return _leaf(spec, visited, training) if spec.form == "leaf" else _path(spec, visited.tokens, training)


def relu_compares(tokens: int, hidden: int, training: bool) -> int:
    """Compares of relu in leaf networks, one of each unit and one more in its gradient: they route nothing."""
    return tokens * hidden * (2 if training else 1)


def _node(spec: LayerSpec) -> int:
    """Weights of one leaf, or of one neuron."""
    widths = spec.in_features + spec.out_features
    if spec.form == "path":
        return widths
    return spec.hidden * widths + spec.hidden + (spec.out_features if spec.bias else 0)


def _leaf(spec: LayerSpec, visited: VisitedNodes, training: bool) -> OperationCost:
    tokens, units = visited.tokens, visited.tokens * spec.hidden
    passes = 2 if training else 1
    biases = units + (tokens * spec.out_features if spec.bias else 0)
    compares = relu_compares(tokens, spec.hidden, training)
    total = OperationCost(Flop(overhead=passes * biases), routing_operations=compares)
    for p, q in ((spec.in_features, spec.hidden), (spec.hidden, spec.out_features)):
        total += leaf_linear(tokens, p, q, visited=visited.leaves, itemsize=ANY_ITEMSIZE)
        if training:
            total += leaf_linear_input_gradient(tokens, p, q, visited=visited.leaves, itemsize=ANY_ITEMSIZE)
            total += leaf_linear_weight_gradient(
                tokens, p, q, visited=visited.leaves, rows=spec.nodes, itemsize=ANY_ITEMSIZE
            )
    return total


def _path(spec: LayerSpec, tokens: int, training: bool) -> OperationCost:
    p, q, neurons = spec.in_features, spec.out_features, spec.depth + 1
    total = neuron_path(tokens, p, spec.depth, itemsize=ANY_ITEMSIZE)
    total += OperationCost(Flop(overhead=GELU_FLOP * tokens * neurons))
    total += unit_lookup(tokens, neurons, q, 1, itemsize=ANY_ITEMSIZE)
    if training:
        total += OperationCost(Flop(overhead=GELU_GRADIENT_FLOP * tokens * neurons))
        # A neuron's value is a sum over the input's rows as an output is one over neurons', seen from the other side.
        for width in (p, q):
            total += unit_lookup_weight_gradient(tokens, neurons, width, 1, rows=spec.nodes, itemsize=ANY_ITEMSIZE)
        total += unit_lookup_input_gradient(tokens, neurons, q, 1, itemsize=ANY_ITEMSIZE)
        total += unit_lookup(tokens, neurons, p, 1, itemsize=ANY_ITEMSIZE)
    return total
