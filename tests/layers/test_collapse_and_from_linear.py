"""A collapsed layer equals its path layer; a layer from a dense layer computes what that computes."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from capratio.cost.spec import ORDERS, LayerSpec
from capratio.layers.collapsing import leaf_sums
from capratio.layers.table import LAYER_CLASSES, build
from capratio.layers.tree_bias_linear import TreeBiasLinear
from capratio.layers.tree_gated_linear import TreeGatedLinear
from capratio.layers.unit_tree_linear import UnitTreeLinear

PATH_CLASSES = (TreeGatedLinear, UnitTreeLinear, TreeBiasLinear)
TOLERANCES = {torch.float64: 1e-12, torch.float32: 1e-5, torch.bfloat16: 0.05, torch.float16: 0.005}


def drawn(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(dtype)


@given(depth=st.integers(0, 6))
def test_leaf_sums_add_the_nodes_of_each_path(depth: int) -> None:
    nodes = drawn(2 ** (depth + 1) - 1, 2, dtype=torch.float64)

    sums = leaf_sums(nodes, depth)

    for leaf in range(2**depth):
        path = [2**level - 1 + (leaf >> (depth - level)) for level in range(depth + 1)]
        assert torch.allclose(nodes[path].sum(0), sums[leaf])


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("path", PATH_CLASSES)
def test_the_collapsed_layer_equals_the_path_layer(
    path: type[TreeGatedLinear | UnitTreeLinear | TreeBiasLinear], bias: bool, dtype: torch.dtype
) -> None:
    layer, x = path(9, 5, 4, bias=bias, init="random", gate_seed=3, dtype=dtype), drawn(40, 9, dtype=dtype)

    collapsed = layer.collapse()

    assert replace(layer.spec, form="collapsed") == collapsed.spec
    assert torch.equal(layer.bits(x), collapsed.bits(x))
    assert torch.allclose(layer(x), collapsed(x), rtol=0, atol=TOLERANCES[dtype])


def test_a_collapsed_layer_shares_nothing_with_its_path_layer() -> None:
    layer, x = TreeGatedLinear(9, 5, 2, gate="hyperplanes", init="random"), drawn(10, 9)
    collapsed = layer.eval().collapse()
    before = collapsed(x).clone()

    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.zero_()

    assert torch.equal(before, collapsed(x))
    assert not collapsed.training
    assert all(parameter.requires_grad and parameter.is_leaf for parameter in collapsed.parameters())


@pytest.mark.parametrize("depth", [0, 3])
@pytest.mark.parametrize("bias", [True, False])
def test_a_layer_from_linear_computes_what_linear_does(spec: LayerSpec, depth: int, bias: bool) -> None:
    linear, x = nn.Linear(9, 5, bias, dtype=torch.float64), drawn(20, 9, dtype=torch.float64)

    layer = LAYER_CLASSES[spec.layer, spec.form].from_linear(linear, depth, gate=spec.gate)  # type: ignore[union-attr]

    assert replace(spec, depth=depth, bias=bias) == layer.spec
    assert torch.allclose(linear(x), layer(x), rtol=0, atol=1e-12)
    assert torch.float64 == layer.weight.dtype


def test_a_layer_from_linear_copies_its_parameters(spec: LayerSpec) -> None:
    linear, x = nn.Linear(9, 5), drawn(20, 9)
    layer = LAYER_CLASSES[spec.layer, spec.form].from_linear(linear, 2)  # type: ignore[union-attr]
    before = layer(x).clone()

    nn.init.zeros_(linear.weight)

    assert torch.equal(before, layer(x))


def test_training_moves_visited_nodes_only() -> None:
    layer, x = TreeGatedLinear.from_linear(nn.Linear(9, 5), 3), drawn(1, 9)

    layer(x).sum().backward()

    assert layer.weight.grad is not None
    touched = [node for node in range(15) if layer.weight.grad[node].any()]
    leaf = int("".join(str(int(bit)) for bit in layer.bits(x)[0]), 2)
    assert [0, 1 + (leaf >> 2), 3 + (leaf >> 1), 7 + leaf] == touched


def test_the_automatic_order_is_one_of_the_orders_and_follows_the_number_of_tokens() -> None:
    layer = TreeGatedLinear(64, 64, 6)

    assert {layer.order_for(tokens) for tokens in (0, 1, 64, 4096)} <= set(ORDERS)
    assert layer.order_for(1) == layer.order_for(1)
    assert "leaves" == TreeGatedLinear(64, 64, 0).order_for(1)


def test_a_given_order_is_kept() -> None:
    assert "nodes" == build(LayerSpec("tree-shared", 9, 5, 3), order="nodes").order_for(4096)  # type: ignore[operator]
