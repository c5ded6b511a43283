"""The tree-gated matrix y = (sum over l of W[node_l]) x, whose bits are shared by all units, and its collapsed form."""

from collections.abc import Sequence

from capratio.cost.closed_forms.contract import ANY_ITEMSIZE, ClosedForm, Number, products, sparse_table
from capratio.cost.closed_forms.dense import linear
from capratio.cost.flop import Flop
from capratio.cost.op_formulas import (
    leaf_index_operations,
    leaf_linear,
    leaf_linear_input_gradient,
    leaf_linear_touched_gradient,
    leaf_linear_weight_gradient,
    path_linear,
    path_linear_input_gradient,
    path_linear_touched_gradient,
    path_linear_weight_gradient,
)
from capratio.cost.operation import OperationCost
from capratio.cost.spec import LayerSpec, VisitedNodes


class TreeSharedForm(ClosedForm):
    """One bit pattern a token selects a path of k + 1 matrices.

    A tree of depth k has 1 + 2 + ... + 2^k = 2^(k+1) - 1 nodes of p q weights each; collapsed, 2^k leaves. Forming the
    sum of k + 1 matrices takes k adds of p q elements, so that the paper's token costs 2pq + k p q FLOP, and the
    capacity ratio against dense is (2^(k+1) - 1) 2pq / (2pq + k p q) = 2 (2^(k+1) - 1) / (k + 2), which grows as
    2^k / k. Applying the k nodes below the root instead takes k products of 2pq and k adds of q outputs: ratio about
    (2^(k+1) - 1) / (k + 1). Collapsed there is nothing to form: 2pq, ratio 2^k.

    Source: Cho & Bengio 2014, arXiv 1406.7362, our reading (node sums along the path; O(k q) to form a unit's
    q-vector); the exact counts are derived.
    """

    def weight_parameters(self, spec: LayerSpec) -> int:
        """(2^(k+1) - 1) p q; collapsed 2^k p q."""
        return spec.nodes * spec.in_features * spec.out_features

    def touched_weight_parameters(self, spec: LayerSpec, levels: Sequence[Number]) -> Number:
        """p q for each visited node; collapsed p q for each visited leaf."""
        nodes = levels[-1] if spec.form == "collapsed" else sum(levels)
        return nodes * (spec.in_features * spec.out_features)

    def law(self, spec: LayerSpec, order: str) -> Flop:
        """2pq product; overhead k p q to form the matrix, or 2k p q + k q to apply the nodes; collapsed 0."""
        matrix = spec.in_features * spec.out_features
        if spec.form == "collapsed":
            return Flop(product=2 * matrix)
        applied = 2 * spec.depth * matrix + spec.depth * spec.out_features
        return Flop(product=2 * matrix, overhead=applied if order == "nodes" else spec.depth * matrix)

    def overhead_flop_per_unit(self, spec: LayerSpec, order: str) -> int:
        """k q adds form a unit's q-vector; applied nodes cost it 2k q (the k q adds of outputs belong to no unit)."""
        if spec.form == "collapsed":
            return 0
        return (2 if order == "nodes" else 1) * spec.depth * spec.out_features

    def executed(self, spec: LayerSpec, visited: VisitedNodes, pass_: str, order: str) -> OperationCost:
        """path_linear (collapsed: a leaf index, once, and leaf_linear), with its two gradients in training.

        Every path_linear operation finds its leaves and sorts again; touched rows are found beside it. At depth 0 the
        layer is a plain linear one.
        """
        if spec.depth == 0:
            return linear(spec, visited.tokens, pass_)
        if spec.form == "collapsed":
            return _collapsed(spec, visited, pass_)
        last = path_linear_touched_gradient if spec.touched_gradient else path_linear_weight_gradient
        operations = (path_linear, path_linear_input_gradient, last)[: products(pass_)]
        total = sparse_table(spec, visited.tokens * (spec.depth + 1), pass_)
        for operation in operations:
            total += operation(
                visited.tokens,
                spec.in_features,
                spec.out_features,
                spec.depth,
                visited.leaves,
                visited.below_root,
                order,
                itemsize=ANY_ITEMSIZE,
            )
        return total


def _collapsed(spec: LayerSpec, visited: VisitedNodes, pass_: str) -> OperationCost:
    tokens, p, q, leaves = visited.tokens, spec.in_features, spec.out_features, visited.leaves
    # The leaf index is computed once by the layer and kept for the gradients.
    total = OperationCost(routing_operations=leaf_index_operations(tokens, spec.depth))
    total += leaf_linear(tokens, p, q, visited=leaves, itemsize=ANY_ITEMSIZE)
    if pass_ == "train":
        total += leaf_linear_input_gradient(tokens, p, q, visited=leaves, itemsize=ANY_ITEMSIZE)
        last = leaf_linear_touched_gradient if spec.touched_gradient else leaf_linear_weight_gradient
        total += last(tokens, p, q, visited=leaves, rows=spec.nodes, itemsize=ANY_ITEMSIZE)
    return total + sparse_table(spec, tokens, pass_)
