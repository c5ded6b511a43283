"""A case's numbers come from its processes, never from pooled samples."""

import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from capratio.errors import InputError
from capratio.records.record import Memory, Record
from capratio.records.summary import (
    bootstrap_interval_of_differences,
    bootstrap_interval_s,
    summarise,
    widening,
)


def test_latency_is_the_median_of_process_medians(made: Callable[..., Record]) -> None:
    # Pooled, the nine 10-second samples would win; by process they are one of three.
    records = [
        made(replicate=0, samples_s=(1.0,)),
        made(replicate=1, samples_s=(2.0, 2.0, 50.0)),
        made(replicate=2, samples_s=(10.0,) * 9),
    ]

    (summary,) = summarise(records)

    assert 2.0 == summary.latency_s
    assert 3 == summary.replicates
    assert 0.5 == summary.efficiency
    # Medians 1, 2, 10: mean 13/3, squares (100 + 49 + 289)/9, over 2 degrees of freedom.
    assert (438 / 9 / 2) ** 0.5 / 2.0 == pytest.approx(summary.spread)
    # The percentiles of three are the least and the greatest, 1/2 and 5 times the median, widened as log ratios.
    assert (2.0 * 0.5 ** widening(3), 2.0 * 5.0 ** widening(3)) == pytest.approx((summary.low_s, summary.high_s))


def test_noise_inside_a_process_is_told_from_spread_between_processes(made: Callable[..., Record]) -> None:
    records = [made(replicate=r, samples_s=(0.9, 1.0, 1.1, 1.0, 99.0)) for r in range(3)]

    (summary,) = summarise(records)

    assert 0.0 == summary.spread
    assert 1.4826 * 0.1 == pytest.approx(summary.within_noise)


def test_one_process_has_no_interval_and_no_spread(made: Callable[..., Record]) -> None:
    (summary,) = summarise([made(samples_s=(3.0,))])

    assert (3.0, 3.0, 3.0) == (summary.latency_s, summary.low_s, summary.high_s)
    assert (None, None) == (summary.spread, summary.within_noise)


# 3 and 7 are the replicates of a quick and of a full run.
@pytest.mark.parametrize("processes", [3, 7, 12])
def test_the_interval_covers_the_true_median_about_as_often_as_it_says(processes: int) -> None:
    draw = random.Random(7)
    covered = 0
    for seed in range(400):
        low_s, high_s = bootstrap_interval_s([draw.gauss(1.0, 0.02) for _ in range(processes)], seed)
        covered += low_s <= 1.0 <= high_s

    assert 0.87 < covered / 400 < 0.995


def test_an_interval_that_is_not_widened_is_seen_to_cover_too_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("capratio.records.summary.widening", lambda processes: 1.0)
    draw = random.Random(7)
    covered = 0
    for seed in range(400):
        low_s, high_s = bootstrap_interval_s([draw.gauss(1.0, 0.02) for _ in range(3)], seed)
        covered += low_s <= 1.0 <= high_s

    # All three on one side of the median: 2 / 2^3.
    assert 0.75 == pytest.approx(covered / 400, abs=0.07)


def test_the_widening_is_that_of_students_t() -> None:
    # t(0.975; 2 degrees) = 4.3027 and z = 1.9600, from printed tables.
    assert (3 / 2) ** 0.5 * 4.3027 / 1.9600 == pytest.approx(widening(3), rel=1e-4)


def test_processes_that_agree_give_an_interval_without_width() -> None:
    assert (0.3, 0.3) == bootstrap_interval_s([0.3] * 4, seed=0)


def test_wide_spread_never_gives_a_negative_end() -> None:
    low_s, high_s = bootstrap_interval_s([1.0, 100.0], seed=0)

    assert 0 < low_s < 1.0
    assert high_s > 100.0


def test_differences_have_an_interval_on_both_sides_of_zero() -> None:
    low, high = bootstrap_interval_of_differences([-1.0, 1.0, 2.0], seed=0)

    # The least and the greatest of three, 2 under and 1 over the median, widened as they are.
    assert (1.0 - 2.0 * widening(3), 1.0 + widening(3)) == pytest.approx((low, high))
    assert (-3.0, -3.0) == bootstrap_interval_of_differences([-3.0], seed=0)


def test_drift_is_the_last_third_over_the_first(made: Callable[..., Record]) -> None:
    steady = made(replicate=0, samples_s=(1.0,) * 9)
    slower = made(replicate=1, samples_s=(1.0, 1.0, 1.0, 7.0, 7.0, 7.0, 1.2, 1.2, 1.2))
    slowest = made(replicate=2, samples_s=(1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 2.0, 2.0, 2.0))

    (summary,) = summarise([steady, slower, slowest])

    assert 0.2 == pytest.approx(summary.drift)


def test_too_few_samples_have_no_drift(made: Callable[..., Record]) -> None:
    (summary,) = summarise([made(samples_s=(1.0, 1.0, 1.0, 2.0, 2.0))])

    assert summary.drift is None


def test_a_process_that_is_given_twice_is_refused(made: Callable[..., Record]) -> None:
    with pytest.raises(InputError, match="replicate 1 of 'a' was given twice"):
        summarise([made(replicate=1), made(replicate=0), made(replicate=1)])


def test_the_order_of_the_lines_and_other_cases_change_nothing(made: Callable[..., Record]) -> None:
    records = [made(replicate=r, samples_s=(1.0 + r / 10,)) for r in range(5)]

    (alone,) = summarise(records)
    mixed = summarise([made(case="b"), *reversed(records)])

    assert ["b", "a"] == [summary.case for summary in mixed]
    assert alone == mixed[1]


def test_failures_are_counted_and_give_no_numbers(made: Callable[..., Record], failed: Callable[..., Record]) -> None:
    memory = Memory(8, None, None, None, None, {})
    records = [failed(replicate=0), made(replicate=1, memory=memory), failed(replicate=2, status="crashed")]

    (summary,) = summarise(records)
    (none,) = summarise(records[::2])

    assert {"refused": 1, "measured": 1, "crashed": 1} == summary.statuses
    assert (1, memory) == (summary.replicates, summary.memory)
    assert (0, None, None, None, None) == (none.replicates, none.latency_s, none.low_s, none.efficiency, none.limit)


def test_each_process_is_held_against_the_ceilings_of_its_own_time(made: Callable[..., Record]) -> None:
    first = made(replicate=0, samples_s=(2.0,))
    assert first.limit is not None
    # A machine that was half as fast for a while: latency and limit doubled alike.
    slow = made(replicate=1, samples_s=(4.0,), limit=replace(first.limit, limit_s=2 * first.limit.limit_s))
    slower = made(replicate=2, samples_s=(8.0,), limit=replace(first.limit, limit_s=4 * first.limit.limit_s))

    (summary,) = summarise([first, slow, slower])

    assert summary.efficiency == pytest.approx(first.limit.limit_s / 2.0)


def test_a_case_without_a_limit_has_no_efficiency(made: Callable[..., Record]) -> None:
    (summary,) = summarise([replace(made(), limit=None)])

    assert summary.efficiency is None
    assert [] == summarise([])
