"""The cost of adaptive computation time, counted by hand, and its steps under uniform halting by a simulation."""

import random

import pytest

from capratio.cost import closed_form
from capratio.cost.flop import Flop
from capratio.cost.systems.act import ActSpec
from capratio.cost.systems.contract import Visits
from capratio.errors import InputError

# p = 3, q = 2, h = 4.
SPEC = ActSpec(3, 2, hidden=4)


def taken(*steps: int) -> Visits:
    rounds = max(steps, default=0)
    return Visits(len(steps), {"steps": sum(steps), "rounds": rounds, "last_round": steps.count(rounds)})


def test_two_tokens_by_hand() -> None:
    cost = SPEC.executed(taken(1, 3), "forward")

    # The input to the state and the state to the output of both tokens, and two steps from a state to the next.
    product = 2 * (2 * 3 * 4) + 2 * (2 * 4 * 4) + 2 * (2 * 4 * 2)
    # Four steps of tanh, share and mean, two adds of what x drives, of 4 units; a sigmoid and a subtraction a step.
    overhead = 4 * 3 * 4 + 2 * 4 + 4 * 2
    # Of both tokens the state's and the output's bias, of each step the halting unit's.
    assert Flop(product=product, gating=4 * 8, bias=2 * (4 + 2) + 4, overhead=overhead) == cost.flop
    assert 4 * 4 == cost.routing_operations


def test_parameters_by_hand() -> None:
    # 4·3 + 4·4 + 2·4 weights; biases 4 + 2; a halting unit of 4 + 1.
    assert (36, 47) == (SPEC.weight_parameters, SPEC.parameters)
    # A state is multiplied at the second step first.
    assert 47 - 16 == SPEC.touched_parameters(taken(1, 1))
    assert (47, 0) == (SPEC.touched_parameters(taken(1, 2)), SPEC.touched_parameters(taken()))


def test_a_training_step_of_a_token_that_halts_at_once_by_hand() -> None:
    cost = SPEC.executed(taken(1), "train")

    # Forward 3·4 + 2. Backward of 4 units: the state's and the share's gradients, the share's sum (3), tanh (3 each),
    # two ways joined: 4 + 4 + 3 + 12 + 4; a sigmoid's 3.
    assert Flop(product=3 * 40, gating=3 * 8, bias=7, overhead=14 + 27 + 3) == cost.flop
    assert 4 + 1 == cost.routing_operations


def test_the_law_is_two_steps_as_the_halting_unit_begins() -> None:
    assert {"steps": 2, "rounds": 2, "last_round": 1} == SPEC.one_token().counts
    assert 1 == ActSpec(3, 2, max_steps=1).one_token()["steps"] == ActSpec(3, 2, epsilon=0.3).one_token()["steps"]
    assert SPEC.executed(taken(2), "forward").flop == closed_form(SPEC).flop


@pytest.mark.parametrize("tokens", [1, 3])
@pytest.mark.parametrize("epsilon, max_steps", [(0.01, 8), (0.3, 3)])
def test_expected_steps_are_those_of_uniform_halting_probabilities(tokens: int, epsilon: float, max_steps: int) -> None:
    spec, draw = ActSpec(3, 2, 4, max_steps, epsilon), random.Random(1)

    def one() -> int:
        total = 0.0
        for step in range(1, max_steps):
            total += draw.random()
            if total >= 1 - epsilon:
                return step
        return max_steps

    samples = [taken(*(one() for _ in range(tokens))) for _ in range(20_000)]

    for name, expected in spec.expected_counts(tokens).items():
        assert pytest.approx(sum(each[name] for each in samples) / len(samples), rel=0.02) == expected
    touched = sum(spec.touched_parameters(each) for each in samples) / len(samples)
    assert pytest.approx(touched, rel=0.02) == spec.expected_touched_parameters(tokens)


def test_no_tokens_cost_nothing() -> None:
    assert 0 == SPEC.executed(taken(), "train").flop.total == SPEC.compulsory_bytes(taken(), "forward", 4)
    assert {"steps": 0, "rounds": 0, "last_round": 0} == SPEC.expected_counts(0)


def test_bytes_are_tokens_and_touched_parameters() -> None:
    assert 4 * (2 * 5 + 31) == SPEC.compulsory_bytes(taken(1, 1), "forward", 4)
    assert 4 * (2 * 2 * 5 + 47 + 47) == SPEC.compulsory_bytes(taken(1, 2), "train", 4)


def test_a_twin_is_small_and_takes_as_many_steps() -> None:
    assert ActSpec(16, 16, 16, 5, 0.1) == ActSpec(256, 300, 1024, 5, 0.1).twin()


@pytest.mark.parametrize(
    "given, sentence",
    [
        ({"max_steps": 0}, "max_steps=0; it must be at least 1"),
        ({"hidden": 0}, "hidden=0; it must be at least 1"),
        ({"epsilon": 1.0}, "epsilon=1.0; give a number from 0 to under 1"),
        ({"epsilon": -0.1}, "epsilon=-0.1"),
    ],
)
def test_what_no_such_layer_has_is_refused(given: dict[str, float], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        ActSpec(3, 2, **given)  # type: ignore[arg-type]
