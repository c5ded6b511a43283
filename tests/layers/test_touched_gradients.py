"""Layers whose weight gradient holds the visited rows alone learn what their dense twins learn."""

from dataclasses import replace

import pytest
import torch

from capratio.cost.spec import LayerSpec
from capratio.errors import InputError
from capratio.layers.dense import Dense
from capratio.layers.gated_layer import GatedLayer
from capratio.layers.table import build
from capratio.layers.tree_gated_linear import TreeGatedLinear

FORMS = {
    f"{layer}-{form}": LayerSpec(layer, 9, 5, 3, form, weight_gradient="touched")
    for layer in ("tree-shared", "tree-unit", "tree-bias")
    for form in ("path", "collapsed")
}
forms = pytest.mark.parametrize("spec", FORMS.values(), ids=FORMS)


def drawn(*shape: int, dtype: torch.dtype = torch.float64, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def twins(spec: LayerSpec, dtype: torch.dtype = torch.float64, backend: str = "auto") -> tuple[GatedLayer, GatedLayer]:
    """A layer with touched gradients, and one with dense gradients and the same weights."""
    touched = build(spec, init="random", dtype=dtype, backend=backend)
    dense = build(replace(spec, weight_gradient="dense"), init="random", dtype=dtype, backend=backend)
    assert isinstance(touched, GatedLayer)
    assert isinstance(dense, GatedLayer)
    dense.load_state_dict(touched.state_dict())
    return touched, dense


def table_of(layer: GatedLayer) -> torch.nn.Parameter:
    table = layer.table if layer.layer == "tree-bias" else layer.weight
    assert isinstance(table, torch.nn.Parameter)
    return table


def gradient_of(parameter: torch.nn.Parameter) -> torch.Tensor:
    assert parameter.grad is not None
    return parameter.grad


def same_gradients(touched: GatedLayer, dense: GatedLayer) -> bool:
    return all(
        torch.allclose(gradient_of(theirs), gradient_of(ours).to_dense(), rtol=0, atol=1e-12)
        for ours, theirs in zip(touched.parameters(), dense.parameters(), strict=True)
        if theirs.grad is not None
    )


@forms
@pytest.mark.parametrize("tokens", [0, 1, 5, 70])
@pytest.mark.parametrize("backend", ["reference", "auto"])
def test_all_gradients_are_those_of_the_dense_twin(spec: LayerSpec, tokens: int, backend: str) -> None:
    touched, dense = twins(spec, backend=backend)
    x, other = drawn(tokens, 9).requires_grad_(), drawn(tokens, 9).requires_grad_()
    incoming = drawn(tokens, 5, seed=1)

    touched(x).backward(incoming)
    dense(other).backward(incoming)

    assert gradient_of(table_of(touched)).is_sparse
    assert same_gradients(touched, dense)
    assert x.grad is not None
    assert other.grad is not None
    assert torch.allclose(other.grad, x.grad, rtol=0, atol=1e-12)


@forms
def test_the_rows_are_the_visited_ones_each_once_and_ascending(spec: LayerSpec) -> None:
    layer, _ = twins(spec)
    x, table = drawn(7, 9), table_of(layer)

    (gradient,) = torch.autograd.grad(layer(x).sum(), table)

    assert gradient.is_coalesced()
    assert table.shape == gradient.shape
    rows = list(zip(*gradient.indices().tolist(), strict=True))
    assert sorted(set(rows)) == rows
    levels = layer.visited(x).levels
    assert (levels[-1] if spec.form == "collapsed" else sum(levels)) == len(rows)


@forms
def test_two_backwards_add_up(spec: LayerSpec) -> None:
    touched, dense = twins(spec)

    for seed in (0, 1):
        for layer in (touched, dense):
            layer(drawn(6, 9, seed=seed)).backward(drawn(6, 5, seed=2))

    assert same_gradients(touched, dense)


@forms
def test_a_step_of_an_optimizer_is_that_of_the_dense_twin(spec: LayerSpec) -> None:
    touched, dense = twins(spec)

    for layer in (touched, dense):
        optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
        layer(drawn(6, 9)).backward(drawn(6, 5, seed=2))
        optimizer.step()

    for ours, theirs in zip(touched.parameters(), dense.parameters(), strict=True):
        assert torch.allclose(theirs, ours, rtol=0, atol=1e-12)
    assert not torch.equal(table_of(touched), table_of(twins(spec)[0]))


@forms
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_autocast_gives_the_gradient_of_the_table_in_its_own_dtype(spec: LayerSpec, dtype: torch.dtype) -> None:
    touched, dense = twins(spec, torch.float32)

    for layer in (touched, dense):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            out = layer(drawn(6, 9, dtype=dtype))
        out.sum().backward()

    ours, theirs = gradient_of(table_of(touched)), gradient_of(table_of(dense))
    assert ours.is_sparse
    assert torch.float32 == ours.dtype
    assert torch.allclose(theirs, ours.to_dense(), rtol=1e-5, atol=1e-5)


@forms
def test_a_leaf_of_another_token_is_seen(spec: LayerSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    touched, dense = twins(spec)
    gate = type(touched.gate)
    decide, leaf = gate.decide, gate.leaf
    dense(drawn(6, 9)).backward(drawn(6, 5, seed=2))

    # The path form of shared bits asks for the bits themselves, the others for the leaf.
    monkeypatch.setattr(gate, "decide", lambda self, x: decide(self, x).roll(1, 0))
    monkeypatch.setattr(gate, "leaf", lambda self, x, backend: leaf(self, x, backend).roll(1, 0))
    touched(drawn(6, 9)).backward(drawn(6, 5, seed=2))

    assert not same_gradients(touched, dense)


@forms
def test_a_layer_of_depth_zero_is_a_dense_one_with_a_dense_gradient(spec: LayerSpec) -> None:
    touched, dense = twins(replace(spec, depth=0))

    for layer in (touched, dense):
        layer(drawn(6, 9)).backward(drawn(6, 5, seed=2))

    assert not gradient_of(table_of(touched)).is_sparse
    assert same_gradients(touched, dense)


@forms
def test_a_gradient_of_a_gradient_is_refused_in_a_sentence(spec: LayerSpec) -> None:
    layer, _ = twins(spec)

    with pytest.raises(InputError, match=r"'touched' was given create_graph=True.* use weight_gradient='dense'"):
        torch.autograd.grad(layer(drawn(6, 9)).sum(), table_of(layer), create_graph=True)


@forms
def test_a_graph_with_gradients_is_refused_in_a_sentence(spec: LayerSpec) -> None:
    layer, _ = twins(spec)
    sentence = "'touched' was compiled with gradients on, and torch compiles no sparse gradient; use weight_gradient='d"
    torch.compiler.reset()

    with pytest.raises(torch._dynamo.exc.Unsupported, match=sentence):
        torch.compile(layer, fullgraph=True, backend="eager")(drawn(6, 9))
    with pytest.raises(InputError, match=sentence):
        torch.export.export(layer, (drawn(6, 9),), strict=False)


@forms
def test_a_graph_without_gradients_compiles(spec: LayerSpec) -> None:
    layer, x = twins(spec)[0], drawn(6, 9)
    torch.compiler.reset()

    with torch.no_grad():
        out = torch.compile(layer, fullgraph=True, backend="eager")(x)

    assert torch.equal(layer(x), out)


def test_a_frozen_table_takes_no_gradient_and_the_input_does() -> None:
    layer, _ = twins(FORMS["tree-shared-path"])
    layer.weight.requires_grad_(False)
    x = drawn(6, 9).requires_grad_()

    layer(x).sum().backward()

    assert layer.weight.grad is None
    assert x.grad is not None


def test_the_mode_is_shown_and_kept_by_the_inference_form() -> None:
    layer = TreeGatedLinear(9, 5, 3, weight_gradient="touched")

    assert "weight_gradient=touched" in repr(layer)
    assert "touched" == layer.collapse().weight_gradient
    assert "weight_gradient" not in repr(TreeGatedLinear(9, 5, 3))


def test_another_mode_is_refused() -> None:
    with pytest.raises(InputError, match="weight_gradient='sparse' is not known; it must be one of dense, touched"):
        TreeGatedLinear(9, 5, 3, weight_gradient="sparse")


def test_a_dense_layer_has_no_touched_rows() -> None:
    with pytest.raises(InputError, match="weight_gradient='touched' was given to dense, which has"):
        build(LayerSpec("dense", 9, 5, weight_gradient="touched"))

    assert "dense" == Dense(9, 5).spec.weight_gradient
