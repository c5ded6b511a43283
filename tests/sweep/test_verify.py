"""The float64 reference of every layer, and the mistakes that it must see."""

from dataclasses import replace

import pytest
import torch

from capratio.cost.spec import WEIGHT_GRADIENTS, LayerSpec
from capratio.layers.dense import Dense
from capratio.layers.table import Layer, build
from capratio.sweep.draw import draw_weights
from capratio.sweep.reference import parameter_gradients, token_weights
from capratio.sweep.verify import (
    WrongAnswerError,
    check_same,
    check_same_gradient,
    verify_output,
    verify_parameter_gradients,
)

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

# Of a fast feedforward layer, which is none, only the output's bias has a reference gradient.
LINEAR_SPECS = [spec for spec in SPECS if spec.layer != "fast-feedforward"]


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


def gradients_of(
    spec: LayerSpec, dtype: torch.dtype
) -> tuple[dict[str, torch.Tensor], torch.Tensor, torch.Tensor | None, torch.Tensor]:
    layer, x = drawn(spec, dtype)
    incoming = torch.randn(6, 5, generator=torch.Generator().manual_seed(7)).to(dtype)
    layer(x).backward(incoming)
    gradients = {name: one.grad for name, one in layer.named_parameters() if one.grad is not None}
    return gradients, x, bits_of(layer, x), incoming


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("mode", WEIGHT_GRADIENTS)
@pytest.mark.parametrize("spec", LINEAR_SPECS, ids=str)
def test_right_parameter_gradients_pass_and_one_wrong_row_does_not(
    spec: LayerSpec, mode: str, dtype: torch.dtype
) -> None:
    spec = replace(spec, weight_gradient="dense" if spec.layer == "dense" else mode)
    gradients, x, bits, incoming = gradients_of(spec, dtype)

    verify_parameter_gradients(spec, gradients, x, bits, incoming)

    for name, gradient in gradients.items():
        with pytest.raises(WrongAnswerError, match=f"gradient of {name}"):
            verify_parameter_gradients(spec, gradients | {name: 1.5 * gradient}, x, bits, incoming)


@pytest.mark.parametrize("spec", [spec for spec in LINEAR_SPECS if spec.depth], ids=str)
def test_a_gradient_at_a_row_that_no_token_visits_is_seen(spec: LayerSpec) -> None:
    gradients, x, bits, incoming = gradients_of(spec, torch.float32)
    name = "table" if spec.layer == "tree-bias" else "weight"
    assert bits is not None
    no_bits = torch.zeros_like(bits)

    with pytest.raises(WrongAnswerError, match=f"gradient of {name} at row"):
        verify_parameter_gradients(spec, gradients, x, no_bits, incoming)


def test_a_dense_gradient_where_touched_rows_are_asked_for_is_seen() -> None:
    spec = LayerSpec("tree-shared", 7, 5, 3)
    touched = replace(spec, weight_gradient="touched")

    with pytest.raises(WrongAnswerError, match="the gradient of weight is dense with weight_gradient='touched'"):
        verify_parameter_gradients(touched, *gradients_of(spec, torch.float32))
    with pytest.raises(WrongAnswerError, match="the gradient of weight is sparse with weight_gradient='dense'"):
        verify_parameter_gradients(spec, *gradients_of(touched, torch.float32))


def test_the_gradients_of_a_tiny_tree_are_what_a_hand_computes() -> None:
    # p = q = 1, k = 1: tokens 2 and 3 with the bits 1 and 0, incoming 10 and 100.
    x, incoming = torch.tensor([[2.0], [3.0]]), torch.tensor([[10.0], [100.0]])

    rows = parameter_gradients(LayerSpec("tree-shared", 1, 1, 1), x, torch.tensor([[True], [False]]), incoming, 8)

    assert [((0,), 320.0, 2), ((1,), 300.0, 1), ((2,), 20.0, 1)] == [
        (row.place, row.gradient.item(), row.terms) for row in rows["weight"]
    ]
    assert [110.0] == [row.gradient.item() for row in rows["bias"]]


def test_later_gradients_must_be_bit_equal_and_of_the_same_rows() -> None:
    def sparse(row: int, value: float) -> torch.Tensor:
        return torch.sparse_coo_tensor(
            torch.tensor([[row]]), torch.tensor([value]), (4,), check_invariants=True, is_coalesced=True
        )

    check_same_gradient(sparse(1, 2.0), sparse(1, 2.0))

    for other in (sparse(2, 2.0), sparse(1, 2.0 + 2**-22)):
        with pytest.raises(WrongAnswerError, match="the gradient differs"):
            check_same_gradient(sparse(1, 2.0), other)


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
