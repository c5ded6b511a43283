"""The unit tree y = sum over j of x_j (sum over l of weight[j, node^j_l]), whose bits are each input unit's own."""

from collections.abc import Sequence

from capratio.cost.closed_forms.contract import ANY_ITEMSIZE, ClosedForm, Number, sparse_table
from capratio.cost.closed_forms.dense import linear
from capratio.cost.flop import Flop
from capratio.cost.op_formulas import (
    leaf_index_operations,
    node_index_operations,
    unit_lookup,
    unit_lookup_input_gradient,
    unit_lookup_touched_gradient,
    unit_lookup_weight_gradient,
)
from capratio.cost.operation import OperationCost
from capratio.cost.spec import LayerSpec, VisitedNodes


class TreeUnitForm(ClosedForm):
    """Each of p units selects a path of k + 1 vectors of q weights in a tree of its own.

    p trees of 2^(k+1) - 1 nodes (collapsed 2^k leaves) hold q weights a node. A unit's vector takes k adds of q
    elements to form, k q FLOP beside the 2q of scaling and adding it: 2pq + k p q FLOP a token. The capacity ratio is
    that of shared bits. Visited nodes are distinct (unit, node) pairs.

    Source: Cho & Bengio 2014, arXiv 1406.7362, our reading (a table for each unit, O(k q) to form its q-vector); exact
    counts are derived.
    """

    def weight_parameters(self, spec: LayerSpec) -> int:
        """p (2^(k+1) - 1) q; collapsed p 2^k q."""
        return spec.in_features * spec.nodes * spec.out_features

    def touched_weight_parameters(self, spec: LayerSpec, levels: Sequence[Number]) -> Number:
        """q for each visited (unit, node) pair; collapsed q for each visited (unit, leaf) pair."""
        nodes = levels[-1] if spec.form == "collapsed" else sum(levels)
        return nodes * spec.out_features

    def law(self, spec: LayerSpec, order: str) -> Flop:
        """2pq product and k p q overhead; collapsed no overhead."""
        matrix = spec.in_features * spec.out_features
        return Flop(product=2 * matrix, overhead=0 if spec.form == "collapsed" else spec.depth * matrix)

    def overhead_flop_per_unit(self, spec: LayerSpec, order: str) -> int:
        """k q adds form a unit's q-vector; collapsed 0."""
        return 0 if spec.form == "collapsed" else spec.depth * spec.out_features

    def executed(self, spec: LayerSpec, visited: VisitedNodes, pass_: str, order: str) -> OperationCost:
        """unit_lookup of k + 1 rows (collapsed 1), its two gradients in training, and index steps, once.

        Index steps: leaf N p (2k - 1); rows N p 2(k + 1) of a path, N p of a leaf (the unit's offset added). No sort,
        but where touched rows are found.
        At depth 0 the layer is a plain linear one.
        """
        if spec.depth == 0:
            return linear(spec, visited.tokens, pass_)
        tokens, p, q = visited.tokens, spec.in_features, spec.out_features
        patterns = tokens * p
        collapsed = spec.form == "collapsed"
        nodes = 1 if collapsed else spec.depth + 1
        rows_steps = patterns if collapsed else node_index_operations(patterns, spec.depth)
        total = OperationCost(routing_operations=leaf_index_operations(patterns, spec.depth) + rows_steps)
        total += unit_lookup(tokens, p, q, nodes, itemsize=ANY_ITEMSIZE)
        if pass_ == "train":
            total += unit_lookup_input_gradient(tokens, p, q, nodes, itemsize=ANY_ITEMSIZE)
            last = unit_lookup_touched_gradient if spec.touched_gradient else unit_lookup_weight_gradient
            total += last(tokens, p, q, nodes, rows=p * spec.nodes, itemsize=ANY_ITEMSIZE)
        return total + sparse_table(spec, patterns * nodes, pass_)
