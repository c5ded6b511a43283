"""Which class is which system's layer: the written table, and a builder from a specification."""

from collections.abc import Callable
from dataclasses import asdict

import torch

from capratio.cost.systems.contract import SystemSpec
from capratio.kernels.backends import AUTO
from capratio.layers.act import AdaptiveComputationTime
from capratio.layers.altup import AltUpFeedforward
from capratio.layers.block_policy import BlockPolicyNetwork
from capratio.layers.conditional_layer import ConditionalLayer
from capratio.layers.dynamic_gate import DynamicGateNetwork
from capratio.layers.memory_table import MemoryTable
from capratio.layers.moe_st import StableMixture
from capratio.layers.product_key import ProductKeyMemory
from capratio.layers.sparsely_gated_mixture import SparselyGatedMixture
from capratio.layers.winner_take_all import WinnerTakeAllMemory

SYSTEM_CLASSES: dict[str, Callable[..., ConditionalLayer]] = {
    "act": AdaptiveComputationTime,
    "altup": AltUpFeedforward,
    "block-policy": BlockPolicyNetwork,
    "dynamic-gate": DynamicGateNetwork,
    "memory-table": MemoryTable,
    "moe-sparse": SparselyGatedMixture,
    "moe-st": StableMixture,
    "product-key": ProductKeyMemory,
    "winner-take-all": WinnerTakeAllMemory,
}


def build_spec(
    spec: SystemSpec,
    *,
    backend: str = AUTO,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
) -> ConditionalLayer:
    """Build the layer of a specification, whose options its constructor takes by their names.

    Raises InputError as the layer's constructor does.
    """
    layer = SYSTEM_CLASSES[spec.layer]
    options = asdict(spec)
    sizes = options.pop("in_features"), options.pop("out_features")
    return layer(*sizes, **options, backend=backend, device=device, dtype=dtype)
