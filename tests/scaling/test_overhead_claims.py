"""Each law of overhead latency holds, is broken by a wrong law, and is undecided where records cannot tell."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from capratio.records.record import Point, Record
from capratio.scaling.judge import judge
from capratio.scaling.margins import Margins
from tests.scaling.lines import CALL_S, IN, OUT, WIDTHS, Law, forming, only, swept_line

DEPTH = "path-latency-over-depth"
FLOP = "path-latency-over-overhead-flop"


@pytest.mark.parametrize("claim", [DEPTH, IN, OUT])
def test_overhead_that_grows_with_its_weights_holds(claim: str, laboratory: Any, margins: Margins) -> None:
    verdict = only(judge(swept_line(laboratory, claim, forming), margins=margins))

    assert "holds" == verdict.status, verdict.sentence
    assert verdict.low is not None
    assert verdict.high is not None
    assert verdict.low <= 1.0 <= verdict.high
    assert "N = 1, decode, cold" in verdict.regime
    assert "" == verdict.advice


WRONG: dict[str, Callable[[float], float]] = {
    "square": lambda x: x**2,
    "root": lambda x: x**0.5,
    "constant": lambda x: 1.0,
    "exponential": lambda x: 2.0 ** (12 * x),
}


@pytest.mark.parametrize("claim", [DEPTH, IN, OUT])
@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_law_is_broken(claim: str, wrong: str, laboratory: Any, margins: Margins) -> None:
    def law(point: Point) -> float:
        share = {IN: point.in_features / 1536, OUT: point.out_features / 1536}.get(claim, point.depth / 12)
        return CALL_S + 2e-3 * WRONG[wrong](share) / WRONG[wrong](1.0)

    verdict = only(judge(swept_line(laboratory, claim, law), margins=margins))

    assert "broken" == verdict.status, verdict.sentence
    assert verdict.sentence


def test_a_wrong_law_is_seldom_passed_and_the_right_one_seldom_broken(
    laboratory_of: Callable[..., Any], margins: Margins
) -> None:
    quick = replace(margins, bootstrap_draws=200)
    laws: dict[str, Law] = {"right": forming, "off": lambda p: CALL_S + 1e-4 * p.depth**1.4}

    counts = {
        name: [
            only(judge(swept_line(laboratory_of(seed=seed), DEPTH, law), margins=quick)).status for seed in range(25)
        ]
        for name, law in laws.items()
    }

    assert 0 == counts["right"].count("broken")
    assert counts["right"].count("holds") >= 22
    assert 0 == counts["off"].count("holds")


def test_too_few_depths_are_undecided_and_told_how_far_to_go(laboratory: Any, margins: Margins) -> None:
    verdict = only(judge(swept_line(laboratory, DEPTH, forming, sizes=range(1, 7)), margins=margins))

    assert "undecided" == verdict.status
    assert "Needs k up to 8" in verdict.advice
    # What can be shown is shown.
    assert verdict.estimate is not None


def test_too_few_widths_are_undecided(laboratory: Any, margins: Margins) -> None:
    verdict = only(judge(swept_line(laboratory, IN, forming, sizes=WIDTHS[:5]), margins=margins))

    assert "undecided" == verdict.status
    assert "Needs 8 sizes of p; 5 were measured." == verdict.advice


@pytest.mark.parametrize("processes", [1, 2])
def test_too_few_processes_are_undecided(processes: int, laboratory: Any, margins: Margins) -> None:
    verdict = only(judge(swept_line(laboratory, DEPTH, forming, processes=processes), margins=margins))

    assert "undecided" == verdict.status


def test_an_overhead_under_the_noise_is_below_resolution_and_says_so(laboratory: Any, margins: Margins) -> None:
    verdict = only(judge(swept_line(laboratory, DEPTH, lambda p: 1e-7 * p.depth), margins=margins))

    assert "undecided" == verdict.status
    assert sum(not point.resolved for point in verdict.points) > 6
    assert "below resolution" in verdict.sentence
    assert "above resolution" in verdict.advice


def test_noise_that_hides_the_exponent_asks_for_processes(laboratory_of: Callable[..., Any], margins: Margins) -> None:
    made = swept_line(laboratory_of(seed=1, between=0.15), DEPTH, forming)

    verdict = only(judge(made, margins=margins))

    assert "undecided" == verdict.status
    assert "processes a case" in verdict.advice
    assert "margin 0.15" in verdict.advice


def test_a_size_whose_processes_failed_is_left_out_and_said(laboratory: Any, margins: Margins) -> None:
    made = swept_line(laboratory, DEPTH, forming)
    kept = [record for record in made if record.point.depth != 9 or record.replicate == 0]

    verdict = only(judge(kept, margins=margins))

    assert "holds" == verdict.status
    assert 11 == len(verdict.points)
    assert "k = 9 left out for want of processes" in verdict.regime


def test_overhead_that_does_not_grow_has_no_exponent(laboratory: Any, margins: Margins) -> None:
    verdict = only(judge(swept_line(laboratory, DEPTH, lambda p: 2e-3), margins=margins))

    assert ("broken", None) == (verdict.status, verdict.estimate)
    assert "does not grow" in verdict.sentence


def test_without_a_dense_layer_overhead_is_undecided(laboratory: Any, margins: Margins) -> None:
    made = [record for record in swept_line(laboratory, DEPTH, forming) if record.point.layer != "dense"]

    verdict = only(judge(made, margins=margins))

    assert ("undecided", ()) == (verdict.status, verdict.points)
    assert "dense layer of the same p, q" in verdict.advice


def test_warm_and_batched_cases_do_not_decide_the_law_over_depth(laboratory: Any, margins: Margins) -> None:
    made = swept_line(laboratory, DEPTH, forming)
    bent = swept_line(laboratory, DEPTH, lambda p: 1e-4 * p.depth**2, cache="warm")
    batch = swept_line(laboratory, DEPTH, lambda p: 1e-4 * p.depth**2, tokens=64, pass_="forward")

    verdict = only(judge([*made, *bent, *batch], margins=margins))

    assert "holds" == verdict.status


def test_a_batch_that_applies_nodes_is_judged_over_depth(laboratory: Any, margins: Margins) -> None:
    made = swept_line(laboratory, DEPTH, forming, tokens=64, pass_="forward", order="nodes", cache="warm")

    verdict = only(judge(made, margins=margins))

    assert "holds" == verdict.status
    assert "N = 64" in verdict.regime
    assert "order nodes" in verdict.regime


def overhead_flop(record: Record) -> int:
    assert record.exact is not None
    return record.exact.flop["overhead"]


@pytest.mark.parametrize("exponent, status", [(1.0, "holds"), (1.5, "broken"), (0.5, "broken")])
def test_overhead_of_a_batch_is_held_against_its_counted_flop(
    exponent: float, status: str, laboratory: Any, margins: Margins
) -> None:
    batch: dict[str, Any] = {"tokens": 256, "pass_": "forward", "cache": "warm"}

    def law(point: Point) -> float:
        probe = laboratory.record(depth=point.depth, in_features=512, out_features=512, **batch)
        return CALL_S + 1e-3 * float((overhead_flop(probe) / 1e8) ** exponent)

    verdict = only(judge(swept_line(laboratory, FLOP, law, **batch), margins=margins))

    assert status == verdict.status, verdict.sentence
    assert "FLOP" in verdict.regime
    assert "order prefixes" in verdict.regime


def test_where_a_batch_leaves_its_law_the_cause_is_named(laboratory: Any, margins: Margins) -> None:
    batch: dict[str, Any] = {"tokens": 64, "pass_": "forward", "cache": "warm"}

    def law(point: Point) -> float:
        flop = overhead_flop(laboratory.record(depth=point.depth, in_features=512, out_features=512, **batch))
        # Beyond 64 leaves each is visited by one token, and costs five times as much.
        edge = overhead_flop(laboratory.record(depth=6, in_features=512, out_features=512, **batch))
        return CALL_S + 1e-10 * (min(flop, edge) + 5 * max(flop - edge, 0))

    verdict = only(judge(swept_line(laboratory, FLOP, law, **batch), margins=margins))

    assert verdict.status != "holds"
    assert "fewer than one token a leaf" in {each.name for each in verdict.breaks}
    assert "fewer than one token a leaf" in verdict.sentence


def test_a_batch_of_few_depths_is_undecided(laboratory: Any, margins: Margins) -> None:
    batch: dict[str, Any] = {"tokens": 64, "pass_": "forward", "cache": "warm", "sizes": (4, 8, 12)}

    verdict = only(judge(swept_line(laboratory, FLOP, forming, **batch), margins=margins))

    assert ("undecided", None) == (verdict.status, verdict.estimate)
