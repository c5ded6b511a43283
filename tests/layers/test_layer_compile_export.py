"""Layers compile without a graph break and inference forms export; both give what the eager layer gives."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch

from capratio.cost.spec import LayerSpec
from capratio.layers.table import build

FORMS = {
    f"{layer}-{form}": LayerSpec(layer, 9, 5, 3, form)
    for layer in ("tree-shared", "tree-unit", "tree-bias")
    for form in ("path", "collapsed")
}
INFERENCE_FORMS = {name: spec for name, spec in FORMS.items() if spec.form == "collapsed"} | {
    "dense": LayerSpec("dense", 9, 5),
    "hyperplanes": LayerSpec("tree-shared", 9, 5, 3, "collapsed", gate="hyperplanes"),
    "thresholds": LayerSpec("tree-unit", 9, 5, 3, "collapsed", gate="thresholds"),
}


def drawn(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


@pytest.fixture(autouse=True)
def _fresh_compiler() -> Iterator[None]:
    yield
    torch.compiler.reset()


@pytest.mark.parametrize("name", FORMS)
def test_a_layer_traces_forward_and_backward_in_one_graph(name: str) -> None:
    layer = build(FORMS[name], init="random")
    x, compiled_x = drawn(6, 9).requires_grad_(), drawn(6, 9).requires_grad_()
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")

    layer(x).sum().backward()
    expected = [parameter.grad.clone() for parameter in layer.parameters() if parameter.grad is not None]
    layer.zero_grad()
    out = compiled(compiled_x)
    out.sum().backward()

    assert torch.allclose(layer(x), out, atol=1e-6)
    assert torch.allclose(x.grad, compiled_x.grad, atol=1e-6)  # type: ignore[arg-type]
    for wanted, parameter in zip(expected, layer.parameters(), strict=False):
        assert torch.allclose(wanted, parameter.grad, atol=1e-6)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", FORMS)
def test_a_layer_traces_in_one_graph_under_autocast(name: str) -> None:
    layer, x = build(FORMS[name], init="random"), drawn(6, 9)

    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        expected = layer(x)
        out = torch.compile(layer, fullgraph=True, backend="aot_eager")(x)

    assert torch.bfloat16 == out.dtype
    assert torch.allclose(expected, out)


# Inductor itself still calls what torch calls deprecated.
@pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning")
@pytest.mark.parametrize("name", ["tree-shared-collapsed", "tree-unit-collapsed", "tree-bias-collapsed"])
def test_an_inference_form_compiles_to_code_in_one_graph(name: str) -> None:
    layer, x = build(FORMS[name], init="random"), drawn(6, 9)

    with torch.no_grad():
        out = torch.compile(layer, fullgraph=True)(x)

    assert torch.allclose(layer(x), out, atol=1e-6)


@pytest.mark.parametrize("name", INFERENCE_FORMS)
def test_an_inference_form_exports_with_a_free_number_of_tokens(name: str) -> None:
    layer = build(INFERENCE_FORMS[name], init="random").eval()
    tokens = torch.export.Dim("tokens", min=2, max=1024)

    program = torch.export.export(layer, (drawn(6, 9),), dynamic_shapes={"x": {0: tokens}})

    x = drawn(11, 9)
    assert torch.allclose(layer(x), program.module()(x), atol=1e-6)


def test_a_path_form_of_a_fixed_order_exports() -> None:
    spec = FORMS["tree-shared-path"]
    layer = build(spec, init="random", order="prefixes").eval()

    program = torch.export.export(layer, (drawn(6, 9),))

    assert torch.allclose(layer(drawn(6, 9)), program.module()(drawn(6, 9)), atol=1e-6)


def test_a_compiled_layer_with_the_automatic_order_takes_other_numbers_of_tokens() -> None:
    layer = build(FORMS["tree-shared-path"], init="random")
    compiled = torch.compile(layer, fullgraph=True, backend="eager")

    for tokens in (1, 2, 6, 70):
        assert torch.allclose(layer(drawn(tokens, 9)), compiled(drawn(tokens, 9)), atol=1e-6)


def test_depth_zero_compiles_in_one_graph() -> None:
    layer, x = build(replace(FORMS["tree-unit-path"], depth=0)), drawn(6, 9)

    assert torch.allclose(layer(x), torch.compile(layer, fullgraph=True, backend="eager")(x), atol=1e-6)
