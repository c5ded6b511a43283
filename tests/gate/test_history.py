"""Steps and drift: what is there is found, what is not there is found no oftener than is said, and order matters."""

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from math import comb, inf, log
from typing import Any

import numpy as np
import pytest
import ruptures
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from capratio.gate.asv_history import AsvSeries, Point
from capratio.gate.history import History, histories
from capratio.gate.history_json import history_json
from capratio.gate.history_kinds import kind_of
from capratio.gate.history_steps import fewest_commits, find_cuts
from capratio.gate.policy import Budget, Policy

LEVEL = 0.05
Floats = Sequence[float] | NDArray[np.float64]


def series(values: Floats, name: str = "a.time_x") -> AsvSeries:
    """A benchmark with a commit a day."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    return AsvSeries(
        name, name, tuple(Point(f"{n:040x}", start + timedelta(n), float(each)) for n, each in enumerate(values))
    )


def history(values: Floats, name: str = "a.time_x", policy: Policy | None = None) -> History:
    """What is said of it alone."""
    return histories([series(values, name)], policy or Policy())[0]


def noisy(levels: Sequence[float], spread: float, seed: int = 0) -> Any:
    """Latencies of these levels, given as logarithms, with noise of a spread."""
    generator = np.random.default_rng(seed)
    return np.exp(np.asarray(levels, dtype=float) + spread * generator.normal(size=len(levels)))


def places(found: History) -> list[int]:
    return [step.place for step in found.steps]


def test_a_step_is_found_where_it_is_with_its_size_in_its_interval() -> None:
    found = history(noisy([0.0] * 25 + [log(1.05)] * 15, 0.01))

    (step,) = found.steps
    assert ("stepped", 25) == (found.status, step.place)
    assert step.change.low < 1.05 < step.change.high
    assert step.change == found.drift == found.loss
    assert step.p is not None
    assert step.p < 1e-4


@pytest.mark.parametrize(
    "noise",
    [lambda g: g.normal(size=40), lambda g: g.standard_t(2, size=40), lambda g: np.round(g.normal(size=40))],
    ids=["normal", "heavy tails", "ties"],
)
def test_noise_alone_shows_a_step_no_oftener_than_is_said(noise: Callable[[np.random.Generator], Any]) -> None:
    generator = np.random.default_rng(11)

    false = sum(bool(find_cuts(noise(generator), LEVEL)) for _ in range(1000))

    # 50 are allowed; more than 30 of a true 1.5 % come once in a thousand times.
    assert false <= 30


def test_many_benchmarks_of_noise_are_one_look_together() -> None:
    generator = np.random.default_rng(5)

    looks = [
        histories([series(np.exp(generator.normal(size=30)), f"a.time_{n}") for n in range(20)], Policy())
        for _ in range(60)
    ]

    assert sum(any(each.steps for each in look) for look in looks) <= 60 * LEVEL


def test_a_slow_drift_of_commits_under_the_budget_is_found_though_no_commit_loses_it() -> None:
    # Ten commits of 0.8 %, each under the budget of 2 %, between two quiet months.
    slope = [0.0] * 15 + [n * log(1.008) for n in range(1, 11)] + [10 * log(1.008)] * 15

    found = history(noisy(slope, 0.003))

    assert "drifted" == found.status
    assert all(step.jump < 1.02 for step in found.steps)
    assert found.drift is not None
    assert found.drift.low < 1.008**10 < found.drift.high


@pytest.mark.parametrize("seed", range(8))
def test_a_slow_drift_is_found_whatever_the_noise_of_the_day(seed: int) -> None:
    slope = [0.0] * 15 + [n * log(1.008) for n in range(1, 11)] + [10 * log(1.008)] * 15

    assert history(noisy(slope, 0.01, seed)).status in ("drifted", "stepped")


def test_the_same_commits_in_a_wrong_order_are_another_history() -> None:
    values = noisy([0.0] * 20 + [log(1.05)] * 20, 0.01)
    shuffled = np.random.default_rng(1).permutation(values)

    assert "stepped" == history(values).status
    assert "steady" == history(shuffled).status
    assert "moved" == history(values[::-1]).status


def test_a_loss_that_was_taken_back_is_no_loss_and_both_steps_are_found() -> None:
    found = history(noisy([0.0] * 15 + [0.05] * 10 + [0.0] * 15, 0.01))

    assert ("moved", [15, 25]) == (found.status, places(found))


def test_a_loss_of_what_was_gained_stands_though_the_last_level_is_the_first() -> None:
    found = history(noisy([0.05] * 15 + [0.0] * 15 + [0.05] * 15, 0.01))

    assert "stepped" == found.status
    assert found.drift is not None
    assert found.loss is not None
    assert found.drift.low < 1.0 < found.drift.high
    assert found.loss.low > 1.02


def test_one_wild_commit_is_no_step() -> None:
    values = noisy([0.0] * 40, 0.01, seed=3)
    values[20] *= 100.0
    values[-1] *= 100.0

    assert "steady" == history(values).status


def test_a_loss_within_the_budget_is_moved_and_one_that_noise_hides_is_undecided() -> None:
    assert "moved" == history(noisy([0.0] * 20 + [log(1.01)] * 20, 0.002)).status
    assert "undecided" == history(noisy([0.0] * 20 + [log(1.022)] * 20, 0.012)).status


def test_the_policy_says_what_may_be_lost() -> None:
    values = noisy([0.0] * 20 + [log(1.05)] * 20, 0.01)
    policy = Policy(budgets=(Budget("*time_x", "latency", 0.1, "wanted"),))

    assert "moved" == history(values, policy=policy).status


def test_a_step_of_exactly_the_budget_is_rarely_said_to_be_more() -> None:
    generator = np.random.default_rng(2)
    levels = np.repeat([0.0, log(1.02)], 20)

    said = [history(np.exp(levels + 0.01 * generator.normal(size=40))).status for _ in range(200)]

    # 6 % of a thousand; more than 22 of 200 come once in a hundred times.
    assert sum(status in ("drifted", "stepped") for status in said) <= 22


def test_what_is_counted_has_a_step_wherever_it_changes_and_a_budget_of_nothing() -> None:
    found = history([100, 100, 101], "a.track_product_flop")

    assert ("stepped", [2]) == (found.status, places(found))
    assert found.steps[0].p is None
    assert "steady" == history([100, 100], "a.track_product_flop").status
    assert "moved" == history([100, 99], "a.track_product_flop").status
    assert inf == history([0, 5], "a.track_overhead_flop").steps[0].change.ratio


def test_where_more_is_better_a_fall_is_the_loss() -> None:
    assert "stepped" == history([2.0, 2.0, 1.0], "a.track_capacity_ratio").status
    assert "moved" == history([1.0, 1.0, 2.0], "a.track_capacity_ratio").status
    assert "stepped" == history(noisy([0.0] * 20 + [-0.1] * 20, 0.01), "a.track_efficiency").status


def test_what_has_no_direction_is_shown_and_not_judged() -> None:
    found = history(noisy([0.0] * 20 + [0.5] * 20, 0.01), "a.track_something")

    assert ("not judged", None) == (found.status, found.loss)
    assert found.drift is not None


def test_a_kind_goes_by_the_function_and_not_by_its_module() -> None:
    assert "higher" == kind_of("time_of_day.Suite.track_efficiency").better
    assert kind_of("time_of_day.Suite.track_other").better is None


def test_too_few_commits_are_short_and_numbers_without_a_logarithm_are_named() -> None:
    fewest = fewest_commits(LEVEL)
    rising = [float(n) for n in range(1, 100)]

    assert "short" == history(rising[: fewest - 1]).status
    assert history(rising[:fewest]).steps
    assert "not positive" == history([1.0, 0.0, 2.0]).status


def levels_of_steps(seed: int) -> tuple[Any, list[int]]:
    """A series of four levels, at least five spreads apart, and where they change."""
    generator = np.random.default_rng(seed)
    lengths = generator.integers(15, 30, size=4)
    heights = np.cumsum(generator.choice([-1.0, 1.0], size=4) * generator.uniform(0.05, 0.1, size=4))
    values = np.exp(np.repeat(heights, lengths) + 0.01 * generator.normal(size=lengths.sum()))
    return values, [int(place) for place in np.cumsum(lengths)[:-1]]


@pytest.mark.parametrize("seed", range(6))
def test_known_steps_are_found_where_ruptures_finds_them(seed: int) -> None:
    values, known = levels_of_steps(seed)

    theirs = ruptures.Dynp(model="l2", min_size=2, jump=1).fit(np.log(values)).predict(n_bkps=len(known))[:-1]
    ours = places(history(values))

    assert len(known) == len(ours)
    assert all(abs(a - b) <= 1 for a, b in zip(ours, known, strict=True))
    assert all(abs(a - b) <= 1 for a, b in zip(ours, theirs, strict=True))


@pytest.mark.parametrize("n, place", [(14, 7), (20, 8), (30, 26)])
def test_the_p_value_of_a_full_separation_is_that_of_scipy_times_its_looks(n: int, place: int) -> None:
    values = np.concatenate([np.arange(place), 100.0 + np.arange(n - place)])
    exact = stats.mannwhitneyu(values[:place], values[place:], method="exact").pvalue

    (cut, *_) = find_cuts(np.random.default_rng(0).permutation(values[:place]).tolist() + [100.0] * (n - place), 0.9)

    assert place == cut.place
    assert cut.p == pytest.approx(min(1.0, exact * 2 * (n - 1)))
    assert exact == pytest.approx(2.0 / comb(n, place))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0.5, 2.0), min_size=1, max_size=60), st.floats(1e-9, 1e9))
def test_steps_lie_inside_in_order_and_the_unit_does_not_matter(values: list[float], unit: float) -> None:
    found = history(values)
    scaled = history([2.0 ** round(np.log2(unit)) * value for value in values])

    assert places(found) == sorted(set(places(found)))
    assert all(0 < place < len(values) for place in places(found))
    assert [(level.start, level.stop) for level in found.levels] == [(e.start, e.stop) for e in scaled.levels]
    assert found.status == scaled.status


def test_numbers_at_the_ends_of_what_a_float_holds_are_no_error() -> None:
    found = histories([series([1e-308] * 20 + [1e308] * 20)], Policy())

    (told,) = json.loads(history_json(found, Policy()))["histories"]
    assert "stepped" == told["status"]
    assert told["drift"]["ratio"] is None
