"""The layers that are measured: one ``nn.Module`` a file, in every habit like ``nn.Linear``; ``table`` names them.

One habit they lack: transforms of ``torch.func`` do not reach the gradients of operations that a library defines, so
``grad`` over ``functional_call`` raises, and ``vmap`` runs one sample after the other.
"""

from capratio.layers.collapsed_tree_bias_linear import CollapsedTreeBiasLinear
from capratio.layers.collapsed_tree_linear import CollapsedTreeLinear
from capratio.layers.collapsed_unit_tree_linear import CollapsedUnitTreeLinear
from capratio.layers.dense import Dense
from capratio.layers.leaf_feedforward import LeafFeedforward
from capratio.layers.path_feedforward import PathFeedforward
from capratio.layers.tree_bias_linear import TreeBiasLinear
from capratio.layers.tree_gated_linear import TreeGatedLinear
from capratio.layers.unit_tree_linear import UnitTreeLinear

__all__ = [
    "CollapsedTreeBiasLinear",
    "CollapsedTreeLinear",
    "CollapsedUnitTreeLinear",
    "Dense",
    "LeafFeedforward",
    "PathFeedforward",
    "TreeBiasLinear",
    "TreeGatedLinear",
    "UnitTreeLinear",
]
