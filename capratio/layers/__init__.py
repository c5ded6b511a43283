"""The layers that are measured: one ``nn.Module`` a file, in every habit like ``nn.Linear``; ``table`` names them.

Beside them: how a block policy learns from a cost (``policy_surrogate``, ``update_baseline`` and its baselines).

One habit they lack: transforms of ``torch.func`` do not reach the gradients of operations that a library defines, so
``grad`` over ``functional_call`` raises, and ``vmap`` runs one sample after the other.
"""

from capratio.layers.act import AdaptiveComputationTime
from capratio.layers.alternating_updates import AltUp, RecycledAltUp, SequenceAltUp
from capratio.layers.altup import AltUpFeedforward
from capratio.layers.block_policy import BlockPolicyNetwork, policy_surrogate, update_baseline
from capratio.layers.collapsed_tree_bias_linear import CollapsedTreeBiasLinear
from capratio.layers.collapsed_tree_linear import CollapsedTreeLinear
from capratio.layers.collapsed_unit_tree_linear import CollapsedUnitTreeLinear
from capratio.layers.dense import Dense
from capratio.layers.dynamic_gate import DynamicGateNetwork
from capratio.layers.leaf_feedforward import LeafFeedforward
from capratio.layers.memory_table import MemoryTable
from capratio.layers.moe_st import StableMixture
from capratio.layers.path_feedforward import PathFeedforward
from capratio.layers.product_key import ProductKeyMemory
from capratio.layers.reinforce import Baseline, MeanBaseline, VarianceOptimalBaseline
from capratio.layers.sparsely_gated_mixture import SparselyGatedMixture
from capratio.layers.tree_bias_linear import TreeBiasLinear
from capratio.layers.tree_gated_linear import TreeGatedLinear
from capratio.layers.unit_tree_linear import UnitTreeLinear
from capratio.layers.winner_take_all import WinnerTakeAllMemory

__all__ = [
    "AdaptiveComputationTime",
    "AltUp",
    "AltUpFeedforward",
    "Baseline",
    "BlockPolicyNetwork",
    "CollapsedTreeBiasLinear",
    "CollapsedTreeLinear",
    "CollapsedUnitTreeLinear",
    "Dense",
    "DynamicGateNetwork",
    "LeafFeedforward",
    "MeanBaseline",
    "MemoryTable",
    "PathFeedforward",
    "ProductKeyMemory",
    "RecycledAltUp",
    "SequenceAltUp",
    "SparselyGatedMixture",
    "StableMixture",
    "TreeBiasLinear",
    "TreeGatedLinear",
    "UnitTreeLinear",
    "VarianceOptimalBaseline",
    "WinnerTakeAllMemory",
    "policy_surrogate",
    "update_baseline",
]
