"""What holds of the specification of every system: options go to text and back, and what no layer has is refused."""

import json
from typing import Any

import pytest

from capratio.cli.main import run
from capratio.cost.layer_names import LAYER_IDS
from capratio.cost.spec import PASSES
from capratio.cost.systems.contract import SystemSpec, Visits, defaults, option_text
from capratio.cost.systems.table import SYSTEMS
from capratio.errors import InputError

# Of each system some options that are not the usual ones, of every type that it has.
UNUSUAL: dict[str, dict[str, Any]] = {
    "act": {"hidden": 64, "max_steps": 3, "epsilon": 0.125},
    "altup": {"hidden": 64, "blocks": 4, "form": "same"},
    "block-policy": {"hidden": 64, "blocks": 8, "rate": 0.25, "activation": "tanh"},
    "dynamic-gate": {"hidden": 64, "temperature": 0.5, "threshold": 0.75},
    "memory-table": {"lookup": "softmax", "consumption": "expert", "entries": 48, "top_k": 3, "rank": 2},
    "moe-sparse": {"experts": 12, "top_k": 3, "hidden": 64, "gating": "balanced"},
    "moe-st": {"experts": 4, "hidden": 64, "capacity_eval": 1.5, "second": "threshold", "prioritised": True},
    "product-key": {"heads": 2, "keys": 32, "top_k": 4, "weight_gradient": "touched"},
    "winner-take-all": {"window": 4, "hashes": 3, "seed": -7},
}
BAD_TEXTS = {
    bool: ("1", "True", ""),
    int: ("x", "1.5", "true", ""),
    float: ("x", "true", "", "nan", "inf"),
    str: ("x", ""),
}

every_system = pytest.mark.parametrize("layer", SYSTEMS)


def specs(layer: str) -> list[SystemSpec]:
    """The usual layer, an unusual one, and the small one that runs the same code."""
    usual, unusual = SYSTEMS[layer](256, 256), SYSTEMS[layer](256, 256, **UNUSUAL[layer])
    return [usual, unusual, usual.twin(), unusual.twin()]


def test_each_system_is_under_its_own_id_and_has_an_example_here() -> None:
    assert {layer: layer for layer in SYSTEMS} == {layer: spec.layer for layer, spec in SYSTEMS.items()}
    assert sorted(SYSTEMS) == sorted(UNUSUAL)


@every_system
def test_options_at_their_defaults_are_left_out(layer: str) -> None:
    given = UNUSUAL[layer]

    assert {} == SYSTEMS[layer](256, 256).options
    assert {name: option_text(value) for name, value in given.items()} == SYSTEMS[layer](256, 256, **given).options


@every_system
def test_a_specification_is_made_again_from_its_sizes_and_options(layer: str) -> None:
    for spec in specs(layer):
        assert spec == SYSTEMS[layer].from_options(spec.in_features, spec.out_features, spec.options)


@every_system
def test_options_that_are_written_out_at_their_defaults_change_nothing(layer: str) -> None:
    written = {name: option_text(value) for name, value in defaults(SYSTEMS[layer]).items()}

    # Some options are refused beside others, so each is written alone.
    for name, text in written.items():
        assert SYSTEMS[layer](256, 256) == SYSTEMS[layer].from_options(256, 256, {name: text})


@every_system
def test_an_unknown_option_is_refused_with_the_nearest(layer: str) -> None:
    name = next(iter(defaults(SYSTEMS[layer])))

    with pytest.raises(
        InputError, match=f"the options of {layer}: the key '{name}s' is not known; did you mean '{name}'"
    ):
        SYSTEMS[layer].from_options(256, 256, {f"{name}s": "1"})


@every_system
def test_a_text_that_an_option_does_not_take_is_refused_in_one_sentence(layer: str) -> None:
    for name, default in defaults(SYSTEMS[layer]).items():
        for text in BAD_TEXTS[type(default)]:
            with pytest.raises(InputError, match=f"{layer} was given {name}=.*; .*\\.$") as caught:
                SYSTEMS[layer].from_options(256, 256, {name: text})
            assert "\n" not in str(caught.value)


@every_system
@pytest.mark.parametrize("sizes", [(0, 4), (4, 0), (-1, -1)])
def test_sizes_under_one_are_refused(layer: str, sizes: tuple[int, int]) -> None:
    with pytest.raises(InputError, match=rf"{layer} was given (in|out)_features=.*\.$"):
        SYSTEMS[layer](*sizes)


@every_system
def test_one_token_visits_what_the_counts_name(layer: str) -> None:
    for spec in specs(layer):
        assert 1 == spec.one_token().tokens
        assert set(spec.counts) == set(spec.one_token().counts) == set(spec.expected_counts(3))


@every_system
def test_a_layer_has_what_a_token_touches_and_its_weights(layer: str) -> None:
    for spec in specs(layer):
        touched = spec.touched_parameters(spec.one_token())
        assert 0 < touched <= spec.parameters
        assert 0 < spec.weight_parameters <= spec.parameters
        assert touched * 0.99 <= spec.expected_touched_parameters(10**6) <= spec.parameters * (1 + 1e-9)


@every_system
@pytest.mark.parametrize("pass_", PASSES)
def test_no_tokens_cost_nothing_but_what_training_writes(layer: str, pass_: str) -> None:
    for spec in specs(layer):
        nothing = Visits(0, dict.fromkeys(spec.counts, 0))
        assert 0 == spec.touched_parameters(nothing)
        if pass_ != "train":
            assert 0 == spec.compulsory_bytes(nothing, pass_, 4)
        assert 0 == spec.executed(nothing, pass_).flop.product


@every_system
def test_the_twin_is_small(layer: str) -> None:
    for spec in specs(layer):
        twin = spec.twin()
        assert max(twin.in_features, twin.out_features) <= 32
        assert twin.parameters <= 100_000
        assert twin == twin.twin()


@pytest.mark.parametrize("layer", LAYER_IDS)
def test_the_command_prints_the_cost_of_every_layer_by_its_id_alone(
    layer: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert 0 == run(["cost", layer])

    assert f"{layer}, " in capsys.readouterr().out.splitlines()[0]


def test_the_command_prints_a_row_for_each_combination_of_values(capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == run(["cost", "moe-sparse", "--set", "experts=4,8", "--set", "top_k=1,3", "--json"])

    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    # 4 or 8 experts of 2·256·1024 weights, 1 or 3 of them computed, of 2 FLOP a weight.
    expert = 2 * 256 * 1024
    assert [4 * expert, 4 * expert, 8 * expert, 8 * expert] == [row["weight_parameters"] for row in rows]
    assert [2 * expert, 6 * expert, 2 * expert, 6 * expert] == [row["product_flop"] for row in rows]
