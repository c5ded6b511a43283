"""The cost of the dynamic gate, counted by hand; the gate costs beside the network and saves nothing."""

import pytest

from capratio.cost import closed_form
from capratio.cost.flop import Flop
from capratio.cost.systems.contract import Visits
from capratio.cost.systems.dynamic_gate import DynamicGateSpec
from capratio.errors import InputError

# p = 3, q = 2, h = 4.
SPEC = DynamicGateSpec(3, 2, hidden=4)


def visits(tokens: int, live: int = 0) -> Visits:
    return Visits(tokens, {"live_units": live})


def test_a_token_by_hand() -> None:
    cost = closed_form(SPEC)

    # 4·3 + 2·4 weights; biases 4 and 2, and the gate's 4·4 + 4.
    assert (20, 46, 46) == (cost.weight_parameters, cost.parameters, cost.touched_parameters)
    # Products 2·4·3 + 2·2·4, the gate's 2·4·4; biases 4 + 4 + 2; five steps of each unit.
    assert Flop(product=40, gating=32, bias=10, overhead=20) == cost.flop
    # relu, and the threshold.
    assert 8 == cost.routing_operations


def test_a_training_step_of_two_tokens_by_hand() -> None:
    cost = SPEC.executed(visits(2), "train")

    # Three products for each; biases are added (2·10) and summed (one add for each of 4 + 4 + 2). Of 8 units forward 5
    # and backward 7.
    assert Flop(product=3 * 80, gating=3 * 64, bias=30, overhead=8 * 12) == cost.flop
    assert 8 * 3 == cost.routing_operations


def test_open_units_change_no_cost() -> None:
    assert SPEC.executed(visits(7, 0), "forward") == SPEC.executed(visits(7, 28), "forward")


def test_units_are_expected_open_as_often_as_a_uniform_probability_exceeds_the_threshold() -> None:
    spec = DynamicGateSpec(3, 2, hidden=8, threshold=0.25)

    assert pytest.approx(5 * 8 * 0.75) == spec.expected_counts(5)["live_units"]
    assert {"live_units": 6} == spec.one_token().counts


def test_bytes_are_tokens_and_all_parameters() -> None:
    # Two tokens in and out, 46 parameters; in training the tokens' gradients and all parameters' too.
    assert 4 * (2 * 5 + 46) == SPEC.compulsory_bytes(visits(2), "forward", 4)
    assert 4 * (2 * 2 * 5 + 2 * 46) == SPEC.compulsory_bytes(visits(2), "train", 4)
    assert 0 == SPEC.compulsory_bytes(visits(0), "forward", 4) == SPEC.expected_touched_parameters(0)


def test_a_twin_is_small_and_keeps_its_options() -> None:
    spec = DynamicGateSpec(256, 300, temperature=0.5, threshold=0.2)

    assert DynamicGateSpec(16, 16, hidden=16, temperature=0.5, threshold=0.2) == spec.twin()


@pytest.mark.parametrize(
    "given, sentence",
    [
        ({"hidden": 0}, "hidden=0; it must be at least 1"),
        ({"temperature": 0.0}, "temperature=0.0; give a number above 0 and finite"),
        ({"temperature": float("nan")}, "temperature=nan"),
        ({"threshold": 1.5}, "threshold=1.5; give a probability from 0 to 1"),
    ],
)
def test_what_no_gate_has_is_refused(given: dict[str, float], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        DynamicGateSpec(3, 2, **given)  # type: ignore[arg-type]
