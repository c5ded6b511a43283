"""Layers keep the habits of nn.Linear: shapes, state, devices, dtypes, repr, depth 0."""

import pickle
from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from torch import nn

from capratio.cost.closed_form import closed_form
from capratio.cost.spec import LayerSpec, VisitedNodes
from capratio.errors import InputError
from capratio.layers.dense import Dense
from capratio.layers.gated_layer import GatedLayer
from capratio.layers.table import LAYER_CLASSES, build
from capratio.layers.tree_gated_linear import TreeGatedLinear


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("leading", [(), (4,), (2, 3), (0,), (3, 0), (1, 1, 1)])
def test_any_leading_shape_is_kept(spec: LayerSpec, leading: tuple[int, ...]) -> None:
    layer, x = build(spec, init="random"), drawn(*leading, 9)

    rows = layer(x.reshape(-1, 9))

    assert (*leading, 5) == tuple(layer(x).shape)
    assert torch.allclose(rows, layer(x).reshape(-1, 5), atol=1e-6)
    assert leading == tuple(layer.get_submodule("gate")(x).shape[: len(leading)])


def test_an_input_that_is_not_contiguous_gives_the_same(spec: LayerSpec) -> None:
    layer, x = build(spec, init="random"), drawn(9, 4)

    assert torch.allclose(layer(x.t().contiguous()), layer(x.t()), atol=1e-6)


def test_a_repetition_is_equal_to_the_bit(spec: LayerSpec) -> None:
    layer, x = build(spec, init="random"), drawn(50, 9)

    assert torch.equal(layer(x), layer(x))


# Every leading shape in every dtype, and either of them with a bias and without.
DEPTH_ZERO = [
    (leading, dtype, (i + j) % 2 == 0)
    for i, leading in enumerate([(), (1,), (6,), (2, 3), (0,)])
    for j, dtype in enumerate([torch.float64, torch.float32, torch.bfloat16, torch.float16])
]


@pytest.mark.parametrize("leading, dtype, bias", DEPTH_ZERO)
def test_depth_zero_equals_linear_to_the_bit(
    spec: LayerSpec, leading: tuple[int, ...], dtype: torch.dtype, bias: bool
) -> None:
    linear = nn.Linear(9, 5, bias, dtype=dtype)
    layer = LAYER_CLASSES[spec.layer, spec.form].from_linear(linear, 0)  # type: ignore[union-attr]
    x = drawn(*leading, 9).to(dtype)

    assert torch.equal(linear(x), layer(x))


def test_depth_zero_of_a_wide_layer_equals_linear_to_the_bit(spec: LayerSpec) -> None:
    linear = nn.Linear(257, 129)
    layer = LAYER_CLASSES[spec.layer, spec.form].from_linear(linear, 0)  # type: ignore[union-attr]

    for tokens in (1, 64):
        x = drawn(tokens, 257)
        assert torch.equal(linear(x), layer(x))


def test_a_layer_begins_as_the_dense_layer_of_the_same_seed(spec: LayerSpec) -> None:
    x = drawn(6, 9)
    torch.manual_seed(3)
    layer = build(replace(spec, bias=False, gate="signs"))
    torch.manual_seed(3)
    linear = nn.Linear(9, 5, bias=False)

    if spec.layer == "tree-unit":
        # The roots lie in another layout, so that the same numbers are drawn into other places.
        roots = layer.get_parameter("weight")[:, 0]
        assert (layer.get_parameter("weight")[:, 1:] == (roots.unsqueeze(1) if spec.form == "collapsed" else 0)).all()
        assert torch.allclose(x @ roots, layer(x), atol=1e-6)
    else:
        assert torch.allclose(linear(x), layer(x), atol=1e-6)


def test_every_node_is_drawn_when_that_is_chosen(spec: LayerSpec) -> None:
    layer = build(spec, init="random")

    table = layer.get_parameter("table" if spec.layer == "tree-bias" else "weight")
    nodes = table.transpose(0, 1) if spec.layer == "tree-unit" else table

    assert spec.nodes == len(nodes)
    assert all(node.abs().max() > 0 for node in nodes)
    assert spec.nodes == len({tuple(node.flatten().tolist()) for node in nodes})


def test_a_path_of_drawn_nodes_has_the_variance_of_linear() -> None:
    layer = TreeGatedLinear(100, 50, 7, init="random")

    path_sum = layer.weight[[0, 1, 3, 7, 15, 31, 63, 127]].sum(0)

    assert pytest.approx(1 / (3 * 100), rel=0.1) == path_sum.var().item()


def test_state_is_restored_by_a_state_dict(spec: LayerSpec) -> None:
    x = drawn(6, 9)
    layer, other = build(spec, init="random", gate_seed=1), build(spec, init="random", gate_seed=2)

    other.load_state_dict(layer.state_dict())

    assert torch.equal(layer(x), other(x))


def test_the_state_holds_the_choice_of_features_and_nothing_derived(spec: LayerSpec) -> None:
    names = {"weight"} | ({"bias"} if spec.bias else set()) | ({"table"} if spec.layer == "tree-bias" else set())
    gate = {"signs": {"gate.chosen"}, "hyperplanes": {"gate.weight"}, "thresholds": {"gate.chosen", "gate.threshold"}}

    assert names | gate[spec.gate] == set(build(spec).state_dict())


def test_a_layer_is_built_on_the_meta_device_and_filled_later(spec: LayerSpec) -> None:
    x, filled = drawn(6, 9), build(spec, init="random")

    layer = build(spec, device="meta")

    assert (6, 5) == tuple(layer(x.to("meta")).shape)
    assert all(tensor.is_meta for tensor in (*layer.parameters(), *layer.buffers()))

    layer.to_empty(device="cpu")
    layer.load_state_dict(filled.state_dict())

    assert torch.equal(filled(x), layer(x))


def test_reset_of_every_module_makes_an_empty_layer_usable(spec: LayerSpec) -> None:
    x, layer = drawn(6, 9), build(spec, init="random", device="meta").to_empty(device="cpu")

    for module in layer.modules():
        module.reset_parameters()  # type: ignore[operator]

    assert torch.equal(layer(x), deepcopy(layer)(x))
    assert build(spec).get_submodule("gate")(x).shape == layer.get_submodule("gate")(x).shape


def test_a_layer_is_copied_pickled_and_cast_like_any_module(spec: LayerSpec) -> None:
    layer, x = build(spec, init="random"), drawn(6, 9)

    assert torch.equal(layer(x), deepcopy(layer)(x))
    assert torch.equal(layer(x), pickle.loads(pickle.dumps(layer))(x))
    assert torch.float64 == layer.double()(x.double()).dtype


def test_repr_names_the_sizes(spec: LayerSpec) -> None:
    shown = repr(build(spec))

    assert f"in_features=9, out_features=5, depth=3, bias={spec.bias}" in shown
    assert "(gate): " in shown


@pytest.mark.parametrize("form", ["path", "collapsed"])
def test_layers_are_built_from_their_specification(spec: LayerSpec, form: str) -> None:
    wanted = replace(spec, form=form)

    layer = build(wanted)

    assert LAYER_CLASSES[spec.layer, form] is type(layer)
    assert wanted == layer.spec


def test_parameters_of_a_layer_are_those_of_the_closed_form(spec: LayerSpec) -> None:
    assert closed_form(spec).parameters == sum(parameter.numel() for parameter in build(spec).parameters())


def test_weights_have_the_shapes_of_their_definition() -> None:
    shapes = {
        (layer, form): tuple(
            build(LayerSpec(layer, 9, 5, 0 if layer == "dense" else 2, form)).get_parameter("weight").shape
        )
        for layer, form in LAYER_CLASSES
        if layer != "fast-feedforward"
    }

    assert {
        ("dense", "path"): (5, 9),
        ("tree-shared", "path"): (7, 5, 9),
        ("tree-shared", "collapsed"): (4, 5, 9),
        ("tree-unit", "path"): (9, 7, 5),
        ("tree-unit", "collapsed"): (9, 4, 5),
        ("tree-bias", "path"): (5, 9),
        ("tree-bias", "collapsed"): (5, 9),
    } == shapes


def test_dense_is_linear() -> None:
    torch.manual_seed(0)
    dense = Dense(9, 5)
    torch.manual_seed(0)
    linear = nn.Linear(9, 5)
    x = drawn(2, 3, 9)

    assert torch.equal(linear(x), dense(x))
    assert (2, 3, 0) == tuple(dense.bits(x).shape)
    assert VisitedNodes(6, (1,)) == dense.visited(x)
    assert VisitedNodes(0, (0,)) == dense.visited(x[:0])
    assert LayerSpec("dense", 9, 5) == dense.spec


def test_visited_nodes_of_shared_bits_are_distinct_prefixes(spec: LayerSpec) -> None:
    layer, x = build(spec), drawn(7, 9)
    bits = layer.bits(x).view(7, -1, 3)

    expected = tuple(
        len({(unit, *bits[n, unit, :level].tolist()) for n in range(7) for unit in range(bits.shape[1])})
        for level in range(4)
    )

    assert VisitedNodes(7, expected) == layer.visited(x)
    assert VisitedNodes(7, expected) == layer.visited(x.view(7, 1, 9))
    assert VisitedNodes(0, (0, 0, 0, 0)) == layer.visited(x[:0])


def test_visited_nodes_of_depth_zero_are_the_roots(spec: LayerSpec) -> None:
    layer = build(replace(spec, depth=0))

    assert VisitedNodes(6, (9 if spec.layer == "tree-unit" else 1,)) == layer.visited(drawn(2, 3, 9))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_autocast_takes_and_gives_its_own_dtype_and_reads_the_table_as_it_is(
    spec: LayerSpec, dtype: torch.dtype
) -> None:
    layer, x = build(spec, init="random"), drawn(6, 9).to(dtype)
    expected = layer(x.float()).bfloat16()

    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = layer(x)

    assert torch.bfloat16 == out.dtype
    assert torch.equal(expected, out)


def test_gradients_come_back_through_autocast(spec: LayerSpec) -> None:
    layer, x = build(spec, init="random"), drawn(6, 9)

    with torch.autocast("cpu", dtype=torch.bfloat16):
        layer(x).sum().backward()

    grad = layer.get_parameter("weight").grad
    assert grad is not None
    assert torch.float32 == grad.dtype
    assert grad.abs().sum() > 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_depth_0_is_nn_linear_under_autocast_too(spec: LayerSpec, dtype: torch.dtype) -> None:
    linear, x = nn.Linear(9, 5), drawn(4, 9).to(dtype)
    cls = LAYER_CLASSES[spec.layer, spec.form]
    assert issubclass(cls, GatedLayer)
    layer = cls.from_linear(linear, 0)

    with torch.autocast("cpu", dtype=torch.bfloat16):
        expected, out = linear(x), layer(x)

    assert torch.bfloat16 == out.dtype
    assert torch.allclose(expected, out, rtol=1e-2, atol=1e-2)


def test_autocast_leaves_float64_as_it_is(spec: LayerSpec) -> None:
    layer, x = build(spec, init="random").double(), drawn(4, 9).double()
    expected = layer(x)

    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = layer(x)

    assert torch.float64 == out.dtype
    assert torch.equal(expected, out)


def test_float64_weights_take_no_other_dtype_under_autocast(spec: LayerSpec) -> None:
    layer = build(spec, init="random").double()

    with torch.autocast("cpu", dtype=torch.bfloat16), pytest.raises(InputError, match="convert one of them"):
        layer(drawn(4, 9))
