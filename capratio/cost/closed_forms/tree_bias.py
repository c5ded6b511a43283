"""The tree bias y = W x + sum over l of table[node_l]: the reading in which the whole overhead is O(k q)."""

from collections.abc import Sequence

from capratio.cost.closed_forms.contract import ANY_ITEMSIZE, ClosedForm, Number, sparse_table
from capratio.cost.closed_forms.dense import linear
from capratio.cost.flop import Flop
from capratio.cost.op_formulas import (
    leaf_index_operations,
    path_bias,
    path_bias_table_gradient,
    path_bias_touched_gradient,
    touched_rows,
)
from capratio.cost.operation import OperationCost
from capratio.cost.spec import LayerSpec, VisitedNodes


class TreeBiasForm(ClosedForm):
    """A dense product, and a path of k + 1 vectors of q weights added to it.

    Weights: p q and (2^(k+1) - 1) q (collapsed 2^k q). FLOP a token: 2pq + (k + 1) q, since every node is added to W x
    (collapsed 2pq + q). Capacity ratio (1 + (2^(k+1) - 1) / p) / (1 + (k + 1) / (2p)).

    Source: Cho & Bengio 2014, arXiv 1406.7362, our reading of its O(k q) as a bias; exact counts are derived.
    """

    def weight_parameters(self, spec: LayerSpec) -> int:
        """p q + (2^(k+1) - 1) q; collapsed p q + 2^k q."""
        return (spec.in_features + spec.nodes) * spec.out_features

    def touched_weight_parameters(self, spec: LayerSpec, levels: Sequence[Number]) -> Number:
        """p q as soon as there is a token (the one root says so), and q for each visited node (collapsed: leaf)."""
        nodes = levels[-1] if spec.form == "collapsed" else sum(levels)
        return (levels[0] * spec.in_features + nodes) * spec.out_features

    def law(self, spec: LayerSpec, order: str) -> Flop:
        """2pq product and (k + 1) q overhead; collapsed q overhead."""
        return Flop(product=2 * spec.in_features * spec.out_features, overhead=_vectors(spec) * spec.out_features)

    def overhead_flop_per_unit(self, spec: LayerSpec, order: str) -> int:
        """(k + 1) q, the whole token's, since the tree belongs to no unit; collapsed q."""
        return _vectors(spec) * spec.out_features

    def executed(self, spec: LayerSpec, visited: VisitedNodes, pass_: str, order: str) -> OperationCost:
        """The linear product, a leaf index once, and path_bias with its table gradient in training.

        Collapsed, one row a token is added by the leaf: N q, and N q more to add its gradient into the table.
        """
        tokens, q = visited.tokens, spec.out_features
        total = linear(spec, tokens, pass_)
        total += OperationCost(routing_operations=leaf_index_operations(tokens, spec.depth))
        training = pass_ == "train"
        if spec.form == "collapsed":
            found = touched_rows(tokens, spec.nodes) if training and spec.touched_gradient else OperationCost()
            added = OperationCost(Flop(overhead=(2 if training else 1) * tokens * q))
            return total + added + found + sparse_table(spec, tokens, pass_)
        total += path_bias(tokens, q, spec.depth, itemsize=ANY_ITEMSIZE)
        if training and spec.touched_gradient:
            total += path_bias_touched_gradient(tokens, q, spec.depth, itemsize=ANY_ITEMSIZE)
        elif training:
            total += path_bias_table_gradient(tokens, q, spec.depth, rows=spec.nodes, itemsize=ANY_ITEMSIZE)
        return total + sparse_table(spec, tokens * (spec.depth + 1), pass_)


def _vectors(spec: LayerSpec) -> int:
    """Vectors added to a token's output: the k + 1 nodes of its path, or its one leaf."""
    return 1 if spec.form == "collapsed" else spec.depth + 1
