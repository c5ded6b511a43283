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

from capratio.cost.op_formulas.block_linear import (
    LiveBlocks,
    block_linear,
    block_linear_bias,
    block_linear_bias_gradient,
    block_linear_input_gradient,
    block_linear_touched,
    block_linear_weight_gradient,
)
from capratio.cost.op_formulas.expert_feedforward import expert_feedforward, expert_feedforward_gradients
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
from capratio.cost.op_formulas.router_logits import (
    group_router_logits,
    group_router_logits_weight_gradient,
    router_logits,
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
from capratio.cost.op_formulas.row_lookup import (
    row_lookup,
    row_lookup_share_gradient,
    row_lookup_table_gradient,
    row_lookup_touched_gradient,
)
from capratio.cost.op_formulas.tree_descent import neuron_path, tree_descent
from capratio.cost.op_formulas.unit_lookup import (
    unit_lookup,
    unit_lookup_input_gradient,
    unit_lookup_touched_gradient,
    unit_lookup_weight_gradient,
)

__all__ = [
    "LiveBlocks",
    "block_linear",
    "block_linear_bias",
    "block_linear_bias_gradient",
    "block_linear_input_gradient",
    "block_linear_touched",
    "block_linear_weight_gradient",
    "expert_feedforward",
    "expert_feedforward_gradients",
    "group_router_logits",
    "group_router_logits_weight_gradient",
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
    "router_logits",
    "row_lookup",
    "row_lookup_share_gradient",
    "row_lookup_table_gradient",
    "row_lookup_touched_gradient",
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
