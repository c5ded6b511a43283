"""Anybody's module on a sweep: counted and timed, and the next case is measured after a failure."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from capratio.errors import InputError
from capratio.records.store import read_run
from capratio.sweep.observer import SilentObserver
from capratio.sweep.runner import run_sweep
from tests.sweep.user_module import CASES, GOOD, LINEAR, NAME, SOURCE, measured

pytestmark = pytest.mark.usefixtures("user_folder")


@pytest.mark.parametrize(("pass_", "tokens", "products"), [("forward", 6, 1), ("decode", 1, 1), ("train", 6, 3)])
def test_a_users_layer_is_counted_and_timed_and_nothing_is_promised(pass_: str, tokens: int, products: int) -> None:
    (record,) = measured(replace(GOOD, pass_=pass_, tokens=tokens))

    assert ("measured", None) == (record.status, record.reason)
    assert record.timing is not None
    assert record.exact is not None
    # A token goes through the router of 3 and one expert of 8; the router, which only chooses, has no gradient.
    assert tokens * 2 * 8 * (3 + 8 * products) == record.exact.flop["product"]
    # 3 experts of 8 · 8 weights and 8 biases, and a router of 3 · 8.
    assert (3 * 72 + 24, 3 * 64 + 24) == (record.exact.parameters, record.exact.weight_parameters)
    assert not record.exact.flop_is_lower_bound
    exact = record.exact
    assert {None} == {
        exact.promised_flop,
        exact.law_flop,
        exact.capacity_ratio,
        exact.capacity_ratio_all,
        exact.compulsory_bytes,
        exact.touched_parameters,
        exact.expected_touched_parameters,
        exact.visited_levels,
        exact.visits,
    }


def test_a_cold_case_of_a_users_layer_is_measured() -> None:
    (record,) = measured(replace(GOOD, cache="cold"))

    assert ("measured", None) == (record.status, record.reason)


def test_a_function_that_gives_a_module_is_a_layer_too() -> None:
    (record,) = measured(replace(GOOD, layer=f"{NAME}:linear", options={"features": "8"}))

    assert record.exact is not None
    assert 6 * 2 * 8 * 8 == record.exact.flop["product"]


def test_a_layer_of_ours_may_be_named_as_a_users_is() -> None:
    options = LINEAR | {"depth": "2", "bias": "false", "order": "leaves", "backend": "reference"}

    (record,) = measured(replace(GOOD, layer="capratio.layers:TreeGatedLinear", options=options))

    assert ("measured", None) == (record.status, record.reason)
    assert record.exact is not None
    # 7 nodes of 8 · 8 weights.
    assert 7 * 64 == record.exact.parameters


def test_an_operation_without_a_rule_makes_flop_a_lower_bound() -> None:
    (record,) = measured(replace(GOOD, layer=f"{NAME}:Inverse", options=None, tokens=8))

    assert record.exact is not None
    assert record.exact.flop_is_lower_bound
    assert any("inv" in name for name in record.exact.unknown_operations)


def test_dropout_is_off_in_inference_and_draws_the_same_in_each_call_of_training() -> None:
    dropping = replace(GOOD, options={**(GOOD.options or {}), "dropout": "0.5"})

    records = measured(dropping, replace(dropping, pass_="train"), replace(dropping, cache="cold"))

    assert ["measured"] * 3 == [record.status for record in records]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        # Training changes its running statistics, by which inference normalises.
        ("Normed", {"features": "8"}),
        ("Stateful", {"features": "8", "replaced": "true"}),
        ("Stateful", {"features": "8", "replaced": "false"}),
    ],
)
def test_every_call_starts_from_the_same_buffers_whatever_was_measured_in_between(
    name: str, options: dict[str, str]
) -> None:
    point = replace(GOOD, layer=f"{NAME}:{name}", options=options)

    records = measured(point, replace(point, pass_="train"), replace(point, cache="cold"))

    assert ["measured"] * 3 == [record.status for record in records], [record.reason for record in records]


def test_a_layer_that_ends_its_process_well_is_a_record_and_is_not_tried_again(
    user_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("capratio.sweep.ceilings.RunCeilings.refresh", lambda *_: None)
    path = user_folder / "mine.toml"
    path.write_text(CASES.replace("NotTwo", "Gone"))

    outcome = run_sweep([path], user_folder / "run", None, SilentObserver())

    assert 0 == outcome.measured
    assert [("crashed", "the process ended by itself, with exit code 0, before the case was measured.")] * 3 == [
        (status, reason) for _, _, status, reason in outcome.failed
    ]


def test_a_sweep_goes_on_after_a_failure_and_a_talking_module_spoils_no_event(
    user_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("capratio.sweep.runner.with_limit", lambda record, ceilings: record)
    monkeypatch.setattr("capratio.sweep.ceilings.RunCeilings.refresh", lambda *_: None)
    path, out = user_folder / "mine.toml", user_folder / "run"
    path.write_text(CASES)

    outcome = run_sweep([path], out, None, SilentObserver())

    assert (2, 1) == (outcome.measured, len(outcome.failed))
    assert "two tokens are not taken" in outcome.failed[0][3]
    assert {1: "measured", 2: "failed", 3: "measured"} == {
        record.point.tokens: record.status for record in read_run(out).records
    }
    assert NAME not in sys.modules
    # Other content of the layer's file is another layer: the run is not gone on with.
    (user_folder / f"{NAME}.py").write_text(SOURCE + "\n# changed\n")
    with pytest.raises(InputError, match=rf"other content \(.*layers: {NAME}:NotTwo\)"):
        run_sweep([path], out, None, SilentObserver())
