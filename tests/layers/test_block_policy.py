"""The block policy network computes its formula, and a coin or a block that is off by one is seen."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from capratio.kernels.block_linear import block_linear
from capratio.layers import block_policy
from capratio.layers.bernoulli_policy import flip_coins
from capratio.sweep.draw import draw_weights
from capratio.sweep.references.contract import Parameters, part_of
from tests.layers.block_policies import OPTIONS, REFERENCE, built, coins, drawn, exact
from tests.layers.system_checks import wrong_decision

TOLERANCES = {torch.float64: 1e-12, torch.float32: 1e-5, torch.bfloat16: 0.03, torch.float16: 0.004}


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_a_network_computes_its_formula(options: dict[str, Any], dtype: torch.dtype) -> None:
    layer = built(dtype=dtype, **options)
    for tokens in (0, 1, 7):
        x = drawn(tokens, 5, dtype=dtype)

        outcome = layer.outcome(x, generator=coins())

        assert dtype == outcome.out.dtype
        assert torch.allclose(exact(layer, x.double(), outcome)[0], outcome.out.double(), atol=TOLERANCES[dtype])
        eps = torch.finfo(dtype).eps
        parameters = Parameters(layer.state_dict())
        assert REFERENCE.wrong_decision(layer.spec, parameters, x.double(), outcome.decisions, eps) is None


@settings(max_examples=30, deadline=None)
@given(
    sizes=st.tuples(st.integers(1, 9), st.integers(1, 7), st.integers(1, 4), st.integers(1, 5)),
    layers=st.integers(1, 3),
    rate=st.floats(0.05, 0.95),
    tokens=st.integers(0, 9),
    seed=st.integers(0, 99),
)
def test_a_network_of_any_size_computes_its_formula(
    sizes: tuple[int, int, int, int], layers: int, rate: float, tokens: int, seed: int
) -> None:
    p, q, size, blocks = sizes
    layer = built(p, q, hidden=size * blocks, blocks=blocks, hidden_layers=layers, rate=rate)
    x = drawn(tokens, p, seed=seed)

    outcome = layer.outcome(x, generator=coins(seed))

    assert torch.allclose(exact(layer, x, outcome)[0], outcome.out, atol=1e-12)


@pytest.mark.parametrize("backend", ["auto", "reference"])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_gradients_equal_those_of_the_formula(options: dict[str, Any], backend: str) -> None:
    layer, x = built(backend=backend, **options), drawn(7, 5).requires_grad_()
    again, weights = x.detach().clone().requires_grad_(), drawn(7, 3, seed=2)
    outcome = layer.outcome(x, generator=coins())
    expected, parameters = exact(layer, again, outcome)

    torch.autograd.backward(outcome.out, weights)
    torch.autograd.backward(expected, weights)

    assert torch.allclose(again.grad, x.grad, atol=1e-12)  # type: ignore[arg-type]
    for name, parameter in layer.named_parameters():
        if name.startswith("policies."):
            assert parameter.grad is None
        else:
            wanted = torch.zeros(parameter.shape, dtype=torch.float64)
            for (read, place), value in parameters.read.items():
                if read == name:
                    part_of(wanted, place).copy_(value.grad)  # type: ignore[arg-type]
            assert torch.allclose(wanted, parameter.grad, atol=1e-12)  # type: ignore[arg-type]


@pytest.mark.parametrize("options", OPTIONS[:4], ids=str)
def test_gradients_hold_against_finite_differences(options: dict[str, Any]) -> None:
    layer, x = built(**options), drawn(4, 5).requires_grad_()

    def evaluate(x: torch.Tensor, *_: torch.Tensor) -> torch.Tensor:
        return layer.outcome(x, generator=coins()).out

    assert torch.autograd.gradcheck(evaluate, (x, *layer.weights, *layer.biases))


def test_a_coin_on_the_wrong_side_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    layer, x = built(hidden_layers=2), drawn(7, 5)
    parameters = Parameters(layer.state_dict())

    def verdict() -> str | None:
        decisions = layer.outcome(x, generator=coins()).decisions
        return REFERENCE.wrong_decision(layer.spec, parameters, x, decisions, 1e-15)

    assert verdict() is None
    flip = flip_coins
    # Each block takes its neighbour's coin.
    monkeypatch.setattr(block_policy, "flip_coins", lambda logits, uniform: flip(logits, uniform).roll(1, 1))
    assert "of hidden layer 1" in str(verdict())


@pytest.mark.parametrize("dtype", TOLERANCES)
def test_blocks_that_never_live_are_seen_at_a_small_rate(dtype: torch.dtype) -> None:
    layer, x = built(512, hidden=16, blocks=16, rate=1 / 64, dtype=dtype), drawn(64, 512, dtype=dtype)
    draw_weights(layer, 512, 0, seed=1)
    decisions = dict(layer.outcome(x, generator=coins()).decisions)
    assert wrong_decision(layer, REFERENCE, x, decisions) is None

    decisions["live"] = torch.zeros_like(decisions["live"])

    assert "is dead, but its draw is" in str(wrong_decision(layer, REFERENCE, x, decisions))


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("layers", [1, 2, 3])
def test_right_coins_of_wide_layers_pass(layers: int, dtype: torch.dtype) -> None:
    for seed in range(5):
        layer = built(256, 8, hidden=128, blocks=16, hidden_layers=layers, rate=1 / 8, dtype=dtype)
        x = drawn(64, 256, dtype=dtype, seed=seed)
        draw_weights(layer, 256, 0, seed)

        assert wrong_decision(layer, REFERENCE, x, layer.outcome(x, generator=coins(seed)).decisions) is None


def test_a_coin_near_its_draw_may_fall_either_way() -> None:
    layer, x = built(), drawn(1, 5)
    parameters, decisions = Parameters(layer.state_dict()), dict(layer.outcome(x, generator=coins()).decisions)
    probability = torch.sigmoid(layer.outcome(x, generator=coins()).kept["logits"]).detach()
    decisions["live"] = ~decisions["live"]

    for distance, expected in ((1e-9, True), (1e-3, False)):
        decisions["uniform"] = torch.where(decisions["live"], probability + distance, probability - distance)
        allowed = REFERENCE.wrong_decision(layer.spec, parameters, x, decisions, 1e-7) is None
        assert expected == allowed


def test_a_mask_of_the_wrong_block_gives_another_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    layer, x = built(hidden_layers=2), drawn(7, 5)

    def shifted(x: Any, weight: Any, bias: Any, live_in: Any, live_out: Any, backend: str) -> torch.Tensor:
        return block_linear(x, weight, bias, live_in, live_out.roll(1, 1), backend)

    monkeypatch.setattr(block_policy, "block_linear", shifted)
    outcome = layer.outcome(x, generator=coins())

    assert not torch.allclose(exact(layer, x, outcome)[0], outcome.out, atol=1e-3)
