"""What each hot product of ``capratio.kernels`` executes and moves, in exact integers: one file an operation.

The operations register these with torch's FLOP counter, and the closed forms of the layers are sums of them, so that
what is counted and what is promised share their constants.

Symbols: N tokens, p in_features, q out_features, k depth, V visited leaves, V_n visited nodes without the root. A
product of m x n and n x k matrices is 2mnk FLOP; outside of a product a sum of n terms is n - 1 FLOP.

Bytes are counted at the granularity of tensors, as a plain implementation moves them: an operand is read once a use, a
temporary and an output are written once; caches are not considered. Every function takes ``itemsize``, the bytes of an
element.

Source: own derivation from the layers' definitions (Cho & Bengio 2014, arXiv 1406.7362, our reading).
"""

from capratio.cost.op_formulas.feedforward import leaf_feedforward, path_feedforward
from capratio.cost.op_formulas.hyperplane_bits import hyperplane_bits
from capratio.cost.op_formulas.leaf_linear import (
    leaf_linear,
    leaf_linear_input_gradient,
    leaf_linear_touched_gradient,
    leaf_linear_weight_gradient,
)
from capratio.cost.op_formulas.path_bias import path_bias, path_bias_table_gradient, path_bias_touched_gradient
from capratio.cost.op_formulas.path_linear import (
    path_linear,
    path_linear_input_gradient,
    path_linear_touched_gradient,
    path_linear_weight_gradient,
)
from capratio.cost.op_formulas.routing import (
    leaf_index,
    leaf_index_operations,
    node_index_operations,
    sign_leaf,
    sort_operations,
    sparse_table_operations,
    touched_rows,
    tree_route,
)
from capratio.cost.op_formulas.tree_descent import neuron_path, tree_descent
from capratio.cost.op_formulas.unit_lookup import (
    unit_lookup,
    unit_lookup_input_gradient,
    unit_lookup_touched_gradient,
    unit_lookup_weight_gradient,
)

__all__ = [
    "hyperplane_bits",
    "leaf_feedforward",
    "leaf_index",
    "leaf_index_operations",
    "leaf_linear",
    "leaf_linear_input_gradient",
    "leaf_linear_touched_gradient",
    "leaf_linear_weight_gradient",
    "neuron_path",
    "node_index_operations",
    "path_bias",
    "path_bias_table_gradient",
    "path_bias_touched_gradient",
    "path_feedforward",
    "path_linear",
    "path_linear_input_gradient",
    "path_linear_touched_gradient",
    "path_linear_weight_gradient",
    "sign_leaf",
    "sort_operations",
    "sparse_table_operations",
    "touched_rows",
    "tree_descent",
    "tree_route",
    "unit_lookup",
    "unit_lookup_input_gradient",
    "unit_lookup_touched_gradient",
    "unit_lookup_weight_gradient",
]
