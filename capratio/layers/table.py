"""Which class is which layer: the written table, and a builder from a specification."""

from typing import Any

import torch

from capratio.cost.spec import LayerSpec
from capratio.kernels.backends import AUTO
from capratio.layers.collapsed_tree_bias_linear import CollapsedTreeBiasLinear
from capratio.layers.collapsed_tree_linear import CollapsedTreeLinear
from capratio.layers.collapsed_unit_tree_linear import CollapsedUnitTreeLinear
from capratio.layers.dense import Dense
from capratio.layers.gated_layer import GatedLayer
from capratio.layers.leaf_feedforward import LeafFeedforward
from capratio.layers.path_feedforward import PathFeedforward
from capratio.layers.tree_bias_linear import TreeBiasLinear
from capratio.layers.tree_gated_linear import TreeGatedLinear
from capratio.layers.unit_tree_linear import UnitTreeLinear

Layer = Dense | GatedLayer | LeafFeedforward | PathFeedforward
LAYER_CLASSES: dict[tuple[str, str], type[Dense] | type[GatedLayer] | type[LeafFeedforward] | type[PathFeedforward]] = {
    ("dense", "path"): Dense,
    ("tree-shared", "path"): TreeGatedLinear,
    ("tree-shared", "collapsed"): CollapsedTreeLinear,
    ("tree-unit", "path"): UnitTreeLinear,
    ("tree-unit", "collapsed"): CollapsedUnitTreeLinear,
    ("tree-bias", "path"): TreeBiasLinear,
    ("tree-bias", "collapsed"): CollapsedTreeBiasLinear,
    ("fast-feedforward", "path"): PathFeedforward,
    ("fast-feedforward", "leaf"): LeafFeedforward,
}


def build(
    spec: LayerSpec,
    *,
    order: str = AUTO,
    init: str = "dense",
    gate_seed: int = 0,
    backend: str = AUTO,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
) -> Layer:
    """Build the layer of a specification.

    Args: spec: layer, form, sizes, bias, gate, hidden units and weight gradient. order: of the path form of shared
    bits, and not used by others. init: ``dense``, ``random`` or ``empty``, as each layer describes it (a dense layer is
    always drawn). gate_seed: of the choice of features that give bits. backend: of all but the dense layer, one of
    ``capratio.kernels.backends.NAMES``.

    Raises InputError as the layer's constructor does.
    """
    sizes = spec.in_features, spec.out_features
    layer = LAYER_CLASSES[spec.layer, spec.form]
    if issubclass(layer, Dense):
        return layer(*sizes, spec.bias, device=device, dtype=dtype)
    options: dict[str, Any] = {
        "bias": spec.bias,
        "init": init,
        "backend": backend,
        "device": device,
        "dtype": dtype,
    }
    if issubclass(layer, GatedLayer):
        options |= {"gate": spec.gate, "gate_seed": gate_seed, "weight_gradient": spec.weight_gradient}
    if issubclass(layer, TreeGatedLinear):
        options["order"] = order
    if issubclass(layer, LeafFeedforward):
        options["hidden"] = spec.hidden
    return layer(*sizes, spec.depth, **options)
