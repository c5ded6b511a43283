"""The dynamic gate lets through what its probabilities say, and learns by the straight way alone."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import linear

from capratio.errors import InputError
from capratio.layers import dynamic_gate
from capratio.layers.dense_feedforward import DenseFeedforward
from capratio.layers.dynamic_gate import DynamicGateNetwork
from capratio.sweep.references.dynamic_gate import DynamicGateReference
from tests.layers.system_checks import (
    TOLERANCES,
    assert_agrees,
    assert_compiles_and_exports,
    assert_counts_as_promised,
    assert_habits,
    drawn,
    redrawn,
    wrong_decision,
)

REFERENCE = DynamicGateReference()
OPTIONS: list[dict[str, float]] = [{}, {"temperature": 0.3}, {"threshold": 0.3}, {"temperature": 4.0, "threshold": 0.6}]


def built(dtype: torch.dtype = torch.float64, **options: float) -> DynamicGateNetwork:
    return redrawn(DynamicGateNetwork(5, 3, hidden=7, dtype=dtype, **options))  # type: ignore[arg-type]


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("tokens", [0, 1, 7])
@pytest.mark.parametrize("dtype", TOLERANCES)
def test_outputs_and_gradients_are_those_of_the_reference(
    dtype: torch.dtype, tokens: int, options: dict[str, float]
) -> None:
    assert_agrees(built(dtype, **options), REFERENCE, drawn(tokens, 5, dtype=dtype))


@settings(max_examples=20, deadline=None)
@given(p=st.integers(1, 9), q=st.integers(1, 9), hidden=st.integers(1, 9), tokens=st.integers(0, 5))
def test_a_layer_of_any_size_agrees_with_the_reference(p: int, q: int, hidden: int, tokens: int) -> None:
    layer = redrawn(DynamicGateNetwork(p, q, hidden=hidden, dtype=torch.float64))

    assert_agrees(layer, REFERENCE, drawn(tokens, p, dtype=torch.float64))


@pytest.mark.parametrize("options", OPTIONS)
def test_counted_is_promised(options: dict[str, float]) -> None:
    assert_counts_as_promised(built(torch.float32, **options))


def test_the_layer_keeps_the_habits_of_linear() -> None:
    assert_habits(lambda **given: DynamicGateNetwork(5, 3, hidden=7, threshold=0.3, **given))


def test_the_layer_compiles_and_exports() -> None:
    assert_compiles_and_exports(built(torch.float32))


def test_without_its_gate_gradients_are_those_of_finite_differences() -> None:
    # An open gate has the value 1 everywhere, so that its straight way is no derivative of it.
    layer = built(threshold=0.0)
    for name in ("gate_weight", "gate_bias"):
        layer.get_parameter(name).requires_grad_(False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dynamic_gate, "straight_through", lambda opened, probability: opened.to(probability.dtype))
        x = drawn(4, 5, dtype=torch.float64).requires_grad_()
        learned = [parameter for parameter in layer.parameters() if parameter.requires_grad]

        assert torch.autograd.gradcheck(lambda x, *_: layer(x), (x, *learned))


def test_the_gates_gradient_is_that_of_a_gate_that_is_its_probability() -> None:
    layer, x = built(), drawn(4, 5, dtype=torch.float64)
    layer(x).sum().backward()
    found = gradient_of(layer)
    layer.zero_grad()
    h = linear(x, layer.weight_in, layer.bias_in).relu().detach()

    # d out / d probability = W_2 h whatever the mask.
    soft = torch.sigmoid(linear(h, layer.gate_weight, layer.gate_bias))
    torch.autograd.backward(linear(h * soft, layer.weight_out).sum())

    assert torch.allclose(gradient_of(layer), found)


def gradient_of(layer: DynamicGateNetwork) -> torch.Tensor:
    assert layer.gate_weight.grad is not None
    return layer.gate_weight.grad.clone()


def test_the_gate_learns_by_the_straight_way_and_not_by_the_wrong_one(monkeypatch: pytest.MonkeyPatch) -> None:
    layer, x = built(), drawn(6, 5, dtype=torch.float64)

    layer(x).sum().backward()
    straight = gradient_of(layer)
    layer.zero_grad()
    monkeypatch.setattr(
        dynamic_gate, "straight_through", lambda opened, probability: opened + (probability - opened.double()).detach()
    )
    layer(x).sum().backward()

    assert straight.abs().max() > 0
    assert layer.gate_weight.grad is None


def test_the_gate_is_its_mask_to_the_bit() -> None:
    probability = torch.rand(1000, generator=torch.Generator().manual_seed(0))
    opened = probability > 0.5

    assert torch.equal(opened.float(), dynamic_gate.straight_through(opened, probability))
    # The other bracket rounds.
    assert not torch.equal(opened.float(), (opened + probability) - probability)


def test_a_gate_that_is_always_open_is_the_dense_network() -> None:
    layer, x = redrawn(DynamicGateNetwork(5, 5, hidden=7, threshold=0.0)), drawn(6, 5)
    dense = DenseFeedforward(5, 7)
    dense.load_state_dict({name: layer.state_dict()[name] for name in dense.state_dict()})

    assert torch.equal(dense(x), layer(x))


def test_a_gate_that_is_always_closed_gives_the_bias() -> None:
    layer, x = built(threshold=1.0), drawn(6, 5, dtype=torch.float64)

    assert torch.equal(layer.bias_out.expand(6, 3), layer(x))


def test_the_rate_is_the_mean_probability_and_teaches_the_gate() -> None:
    layer, x = built(), drawn(6, 5, dtype=torch.float64)

    outcome = layer.outcome(x)
    rate = layer.losses(outcome)["rate"]
    torch.autograd.backward(rate)

    h = linear(x, layer.weight_in, layer.bias_in).relu()
    expected = torch.sigmoid(linear(h, layer.gate_weight, layer.gate_bias)).mean()
    assert torch.allclose(expected, rate)
    assert layer.gate_bias.grad is not None
    assert layer.gate_bias.grad.min() > 0
    assert 0 == layer.losses(layer.outcome(x[:0]))["rate"]


def test_visits_are_the_open_units() -> None:
    layer, x = built(), drawn(6, 5, dtype=torch.float64)

    outcome = layer.outcome(x)

    assert int((outcome.kept["probability"] > 0.5).sum()) == layer.visits(outcome.decisions)["live_units"]
    assert 6 == layer.visits(outcome.decisions).tokens


def test_a_unit_on_the_wrong_side_is_found() -> None:
    layer, x = built(), drawn(6, 5, dtype=torch.float64)
    opened = layer.outcome(x).decisions["open"].clone()
    assert wrong_decision(layer, REFERENCE, x, {"open": opened}) is None

    opened[2, 4] = ~opened[2, 4]

    found = wrong_decision(layer, REFERENCE, x, {"open": opened})
    assert found is not None
    assert "token 2: unit 4 is" in found


def test_a_near_tie_is_no_wrong_decision() -> None:
    layer, x = built(torch.float32), drawn(6, 5)
    outcome = layer.outcome(x)
    tie = float(outcome.kept["probability"].detach()[2, 4])
    other = built(torch.float32, threshold=tie)
    opened = other.outcome(x).decisions["open"].clone()

    opened[2, 4] = ~opened[2, 4]

    assert wrong_decision(other, REFERENCE, x, {"open": opened}) is None


def test_a_mask_that_is_shifted_by_a_unit_gives_another_answer() -> None:
    layer, x = built(), drawn(6, 5, dtype=torch.float64)
    outcome = layer.outcome(x)

    shifted = {"open": outcome.decisions["open"].roll(1, 1)}

    assert wrong_decision(layer, REFERENCE, x, shifted) is not None


def test_under_autocast_the_gate_is_still_computed() -> None:
    layer, x = built(torch.float32), drawn(6, 5)

    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = layer(x)
        out.sum().backward()

    assert torch.bfloat16 == out.dtype
    assert layer.gate_weight.grad is not None


def test_a_wrong_input_is_refused() -> None:
    layer = built(torch.float32)

    with pytest.raises(InputError, match="its last dimension must be the layer's in_features=5"):
        layer(drawn(2, 4))
    with pytest.raises(InputError, match=r"x is torch\.float64 and the layer's weights are torch.float32"):
        layer(drawn(2, 5, dtype=torch.float64))
