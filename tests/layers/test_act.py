"""Adaptive computation time agrees with its reference, computes no halted token, and costs what is promised."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import linear

from capratio.errors import InputError
from capratio.layers.act import AdaptiveComputationTime
from capratio.sweep.references.act import ActReference
from tests.layers.system_checks import (
    TOLERANCES,
    assert_agrees,
    assert_counts_as_promised,
    assert_gradients_are_those_of_finite_differences,
    assert_habits,
    drawn,
    redrawn,
    wrong_decision,
)

REFERENCE = ActReference()
OPTIONS: list[dict[str, Any]] = [
    {},
    {"max_steps": 1},
    {"max_steps": 2},
    {"max_steps": 3, "epsilon": 0.3},
    {"hidden": 1},
    {"epsilon": 0.0},
]
# Added to the halting unit: tokens take several steps, all of them, and one.
BIASES = [0.0, -1.5, -9.0, 9.0]


def built(dtype: torch.dtype = torch.float64, bias: float = -1.5, **options: Any) -> AdaptiveComputationTime:
    layer = redrawn(AdaptiveComputationTime(5, 3, dtype=dtype, **{"hidden": 7, **options}))
    with torch.no_grad():
        layer.halting_bias.add_(bias)
    return layer


def steps_of(layer: AdaptiveComputationTime, x: torch.Tensor) -> list[int]:
    taken: list[int] = layer.outcome(x).decisions["steps"].tolist()
    return taken


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("bias", BIASES)
@pytest.mark.parametrize("tokens", [0, 1, 7])
@pytest.mark.parametrize("dtype", TOLERANCES)
def test_outputs_and_gradients_are_those_of_the_reference(
    dtype: torch.dtype, tokens: int, bias: float, options: dict[str, Any]
) -> None:
    assert_agrees(built(dtype, bias, **options), REFERENCE, drawn(tokens, 5, dtype=dtype))


@settings(max_examples=30, deadline=None)
@given(
    sizes=st.tuples(st.integers(1, 7), st.integers(1, 5), st.integers(1, 7)),
    max_steps=st.integers(1, 9),
    epsilon=st.sampled_from([0.0, 0.01, 0.2, 0.9]),
    bias=st.floats(-4, 2),
    tokens=st.integers(0, 9),
)
def test_a_layer_of_any_size_agrees_with_the_reference(
    sizes: tuple[int, int, int], max_steps: int, epsilon: float, bias: float, tokens: int
) -> None:
    p, q, hidden = sizes
    layer = redrawn(
        AdaptiveComputationTime(p, q, hidden=hidden, max_steps=max_steps, epsilon=epsilon, dtype=torch.float64)
    )
    with torch.no_grad():
        layer.halting_bias.add_(bias)

    assert_agrees(layer, REFERENCE, drawn(tokens, p, dtype=torch.float64))
    assert_counts_as_promised(layer.float(), (tokens,))


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("bias", BIASES)
def test_counted_is_promised(bias: float, options: dict[str, Any]) -> None:
    assert_counts_as_promised(built(torch.float32, bias, **options), (0, 1, 2, 7, 30))


@pytest.mark.parametrize("options", OPTIONS)
def test_gradients_are_those_of_finite_differences(options: dict[str, Any]) -> None:
    assert_gradients_are_those_of_finite_differences(built(**options))


def test_the_layer_keeps_the_habits_of_linear() -> None:
    assert_habits(lambda **given: AdaptiveComputationTime(5, 3, hidden=7, max_steps=5, **given))


def test_tokens_take_different_numbers_of_steps() -> None:
    steps = steps_of(built(), drawn(30, 5, dtype=torch.float64))

    assert {1, 8} != set(steps)
    assert len(set(steps)) > 3


def test_a_single_step_is_a_plain_network() -> None:
    layer, x = built(max_steps=1), drawn(6, 5, dtype=torch.float64)

    state = torch.tanh(x @ layer.weight_in.T + layer.bias_state)

    assert torch.allclose(state @ layer.weight_out.T + layer.bias_out, layer(x))


def test_a_token_halts_at_the_first_step_whose_sum_is_enough() -> None:
    # A halting unit that reads nothing has the same probability at every step.
    layer, x = built(), drawn(2, 5, dtype=torch.float64)
    for probability, steps in ((0.995, 1), (0.6, 2), (0.5, 2), (0.34, 3), (0.33, 3), (0.32, 4), (0.1, 8)):
        with torch.no_grad():
            layer.halting_weight.zero_()
            layer.halting_bias.copy_(torch.tensor([probability], dtype=torch.float64).logit())

        outcome = layer.outcome(x)

        assert [steps, steps] == outcome.decisions["steps"].tolist()
        expected = torch.full((2,), 1 - (steps - 1) * probability, dtype=torch.float64)
        assert torch.allclose(expected, outcome.kept["remainder"])


@pytest.mark.parametrize("epsilon, steps", [(0.0, 2), (0.5, 1)])
def test_a_sum_that_is_just_enough_halts(epsilon: float, steps: int) -> None:
    layer, x = built(epsilon=epsilon), drawn(2, 5, dtype=torch.float64)
    with torch.no_grad():
        layer.halting_weight.zero_()
        layer.halting_bias.zero_()

    # A half at each step, exactly.
    assert [steps, steps] == steps_of(layer, x)


def test_shares_add_up_to_one() -> None:
    # With a state that no step changes, the mean is the state itself.
    layer, x = built(), drawn(30, 5, dtype=torch.float64)
    with torch.no_grad():
        layer.weight_state.zero_()

    state = torch.tanh(x @ layer.weight_in.T + layer.bias_state)

    assert torch.allclose(state @ layer.weight_out.T + layer.bias_out, layer(x))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_shares_of_half_types_add_up_to_one_to_the_bit(dtype: torch.dtype) -> None:
    layer, x = built(dtype, bias=-2.5, hidden=64, max_steps=16), drawn(30, 5, dtype=dtype)
    with torch.no_grad():
        layer.weight_state.zero_()

    state = torch.tanh(linear(x, layer.weight_in, layer.bias_state))

    # In float32 the mean of equal states rounds back to them.
    assert max(steps_of(layer, x)) > 8
    assert torch.equal(linear(state, layer.weight_out, layer.bias_out), layer(x))


def test_a_token_that_has_halted_is_computed_no_further(monkeypatch: pytest.MonkeyPatch) -> None:
    layer, x = built(), drawn(30, 5, dtype=torch.float64)
    rows: list[int] = []
    halting = layer._halting

    def counted(state: torch.Tensor) -> torch.Tensor:
        rows.append(len(state))
        return halting(state)

    monkeypatch.setattr(layer, "_halting", counted)

    steps = steps_of(layer, x)

    assert [sum(taken >= step for taken in steps) for step in range(1, max(steps) + 1)] == rows


def test_a_tokens_answer_does_not_depend_on_the_others() -> None:
    layer, x = built(), drawn(30, 5, dtype=torch.float64)

    assert torch.allclose(layer(x), torch.cat([layer(row) for row in x.chunk(30)]), atol=1e-13)


def test_pondering_is_the_mean_of_steps_and_remainder() -> None:
    layer, x = built(), drawn(6, 5, dtype=torch.float64)

    outcome = layer.outcome(x)

    expected = (outcome.decisions["steps"] + outcome.kept["remainder"]).mean()
    assert torch.allclose(expected, layer.losses(outcome)["ponder"])
    assert 0 == layer.losses(layer.outcome(x[:0]))["ponder"]


def test_the_remainder_has_a_gradient_and_the_count_has_none() -> None:
    layer, x = built(), drawn(30, 5, dtype=torch.float64)
    outcome = layer.outcome(x)

    torch.autograd.backward(layer.losses(outcome)["ponder"])

    # More halting leaves less.
    assert not outcome.decisions["steps"].is_floating_point()
    assert layer.halting_bias.grad is not None
    assert float(layer.halting_bias.grad) < 0


def test_a_first_step_that_is_the_last_has_nothing_to_learn_about_halting() -> None:
    layer, x = built(max_steps=1), drawn(30, 5, dtype=torch.float64)

    ponder = layer.losses(layer.outcome(x))["ponder"]

    assert 2.0 == ponder
    assert not ponder.requires_grad


def test_gradients_of_the_pondering_are_those_of_finite_differences() -> None:
    layer, x = built(), drawn(4, 5, dtype=torch.float64).requires_grad_()

    def ponder(x: torch.Tensor, *_: torch.Tensor) -> torch.Tensor:
        return layer.losses(layer.outcome(x))["ponder"]

    learned = [layer.weight_in, layer.weight_state, layer.bias_state, layer.halting_weight, layer.halting_bias]
    assert torch.autograd.gradcheck(ponder, (x, *learned))


def test_the_halting_unit_begins_at_one() -> None:
    layer = AdaptiveComputationTime(5, 3)

    assert [1.0] == layer.halting_bias.tolist()
    # σ(1) = 0.73, so that two steps are the rule.
    assert layer.spec.one_token()["steps"] == round(sum(steps_of(layer, drawn(50, 5))) / 50)


def test_a_step_too_many_or_too_few_is_found() -> None:
    layer, x = built(), drawn(7, 5, dtype=torch.float64)
    steps = layer.outcome(x).decisions["steps"]
    assert wrong_decision(layer, REFERENCE, x, {"steps": steps}) is None
    early, late = steps.clone(), steps.clone()
    token = int(((steps > 1) & (steps < 8)).nonzero()[0])

    early[token] -= 1
    late[token] += 1

    assert f"token {token} halts at step {int(steps[token]) - 1}" in str(
        wrong_decision(layer, REFERENCE, x, {"steps": early})
    )
    assert f"token {token} goes on at step {int(steps[token])}" in str(
        wrong_decision(layer, REFERENCE, x, {"steps": late})
    )
    assert "takes 9 steps of 1 to 8" in str(wrong_decision(layer, REFERENCE, x, {"steps": torch.full((7,), 9)}))


def test_a_near_tie_is_no_wrong_decision() -> None:
    # Two halves reach 1 exactly, or not quite, as rounding falls.
    layer, x = built(torch.float32, epsilon=0.0), drawn(1, 5)
    with torch.no_grad():
        layer.halting_weight.zero_()
        layer.halting_bias.zero_()

    for steps in (2, 3):
        assert wrong_decision(layer, REFERENCE, x, {"steps": torch.tensor([steps])}) is None
    assert wrong_decision(layer, REFERENCE, x, {"steps": torch.tensor([4])}) is not None


def test_the_layer_compiles_in_one_graph_where_sizes_may_depend_on_data() -> None:
    layer, x = built(torch.float32).eval(), drawn(7, 5)

    with torch.no_grad(), torch._dynamo.config.patch(capture_dynamic_output_shape_ops=True):
        out = torch.compile(layer, fullgraph=True, backend="aot_eager")(x)
    torch.compiler.reset()

    assert torch.allclose(layer(x), out, atol=1e-6)


def test_the_layer_exports_with_a_free_number_of_tokens() -> None:
    layer, x = built(torch.float32).eval(), drawn(11, 5)
    tokens = torch.export.Dim("tokens", min=2, max=1024)

    program = torch.export.export(layer, (drawn(6, 5),), dynamic_shapes={"x": {0: tokens}})

    assert torch.allclose(layer(x), program.module()(x), atol=1e-6)


def test_under_autocast_halting_is_still_computed() -> None:
    layer, x = built(torch.float32), drawn(6, 5)

    with torch.autocast("cpu", dtype=torch.bfloat16):
        outcome = layer.outcome(x)

    assert torch.bfloat16 == outcome.out.dtype
    assert torch.float32 == outcome.kept["remainder"].dtype


def test_halting_of_half_types_is_in_float32() -> None:
    assert torch.float32 == built(torch.bfloat16).outcome(drawn(6, 5, dtype=torch.bfloat16)).kept["remainder"].dtype


def test_a_wrong_input_is_refused() -> None:
    with pytest.raises(InputError, match="its last dimension must be the layer's in_features=5"):
        built(torch.float32)(drawn(2, 4))
    with pytest.raises(InputError, match="max_steps=0; it must be at least 1"):
        AdaptiveComputationTime(5, 3, max_steps=0)
