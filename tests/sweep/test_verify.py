"""The float64 reference of every layer, and the mistakes that it must see."""

import pytest
import torch

from capratio.cost.spec import LayerSpec
from capratio.layers.dense import Dense
from capratio.layers.table import Layer, build
from capratio.sweep.draw import draw_weights
from capratio.sweep.reference import token_weights
from capratio.sweep.verify import WrongAnswerError, check_same, verify_output

SPECS = [
    LayerSpec("dense", 7, 5),
    *(
        LayerSpec(layer, 7, 5, depth, form)
        for layer in ("tree-shared", "tree-unit", "tree-bias")
        for form in ("path", "collapsed")
        for depth in (0, 1, 3)
    ),
    *(
        LayerSpec("fast-feedforward", 7, 5, depth, form, bias, "descent", hidden=4)
        for form in ("path", "leaf")
        for depth in (0, 1, 3)
        for bias in (True, False)
    ),
]


def drawn(spec: LayerSpec, dtype: torch.dtype = torch.float32) -> tuple[Layer, torch.Tensor]:
    layer = build(spec, init="empty", dtype=dtype)
    draw_weights(layer, spec.in_features, spec.depth, seed=3)
    x = torch.randn(6, spec.in_features, generator=torch.Generator().manual_seed(5)).to(dtype)
    return layer, x


def bits_of(layer: Layer, x: torch.Tensor) -> torch.Tensor | None:
    return None if isinstance(layer, Dense) else layer.bits(x)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_a_right_layer_lies_within_the_tolerance_of_its_dtype(spec: LayerSpec, dtype: torch.dtype) -> None:
    layer, x = drawn(spec, dtype)
    state, bits, out = dict(layer.state_dict()), bits_of(layer, x), layer(x).detach()

    verify_output(spec, state, x, bits, out)

    with pytest.raises(WrongAnswerError, match="output of token 0"):
        verify_output(spec, state, x, bits, out + 1.0)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("spec", [spec for spec in SPECS if spec.depth], ids=str)
def test_one_wrong_bit_of_one_token_is_seen(spec: LayerSpec, dtype: torch.dtype) -> None:
    layer, x = drawn(spec, dtype)
    bits = bits_of(layer, x)
    assert bits is not None
    wrong = bits.clone()
    wrong[4] = ~wrong[4]

    with pytest.raises(WrongAnswerError, match="token 4"):
        verify_output(spec, dict(layer.state_dict()), x, wrong, layer(x).detach())


def test_a_wrong_input_gradient_is_seen() -> None:
    spec = LayerSpec("tree-shared", 7, 5, 2)
    layer, x = drawn(spec)
    x.requires_grad_()
    incoming = torch.ones(6, 5)
    out = layer(x)
    out.backward(incoming)
    assert x.grad is not None
    arguments = (spec, dict(layer.state_dict()), x.detach(), bits_of(layer, x.detach()), out.detach())

    verify_output(*arguments, (incoming, x.grad))

    with pytest.raises(WrongAnswerError, match="input gradient of token 0"):
        verify_output(*arguments, (incoming, x.grad * 1.01))


def test_the_reference_of_a_tiny_tree_is_what_a_hand_computes() -> None:
    # p = q = 1, k = 2: nodes 1, 10, 20, 100, 200, 300, 400 in level order. Bits 1 0 visit the root, "1" and "10".
    weight = torch.tensor([1.0, 10.0, 20.0, 100.0, 200.0, 300.0, 400.0]).reshape(7, 1, 1)
    spec = LayerSpec("tree-shared", 1, 1, 2, bias=False)

    weights = token_weights(spec, {"weight": weight}, torch.tensor([True, False]), torch.ones(1))

    assert 1 + 20 + 300 == weights.weight.item()


def test_a_later_output_must_be_bit_equal() -> None:
    verified = torch.ones(3)
    check_same(verified, torch.ones(3), "output")

    with pytest.raises(WrongAnswerError, match="bit-equal"):
        check_same(verified, torch.ones(3) * (1 + 2**-23), "output")


def test_every_node_of_a_drawn_layer_is_different() -> None:
    layer = build(LayerSpec("tree-shared", 6, 2, 6), init="empty")

    draw_weights(layer, 6, 6, seed=1)

    weight = layer.get_parameter("weight").detach().reshape(127, -1)
    assert 127 == len(torch.unique(weight, dim=0))
    assert not (weight == 0).any()
