"""A case's numbers come from its processes, never from pooled samples."""

import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from capratio.records.record import Memory, Record
from capratio.records.summary import bootstrap_interval_s, summarise


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
    assert (1.0, 10.0) == (summary.low_s, summary.high_s)


def test_noise_inside_a_process_is_told_from_spread_between_processes(made: Callable[..., Record]) -> None:
    records = [made(replicate=r, samples_s=(0.9, 1.0, 1.1, 1.0, 99.0)) for r in range(3)]

    (summary,) = summarise(records)

    assert 0.0 == summary.spread
    assert 1.4826 * 0.1 == pytest.approx(summary.within_noise)


def test_one_process_has_no_interval_and_no_spread(made: Callable[..., Record]) -> None:
    (summary,) = summarise([made(samples_s=(3.0,))])

    assert (3.0, 3.0, 3.0) == (summary.latency_s, summary.low_s, summary.high_s)
    assert (None, None) == (summary.spread, summary.within_noise)


def test_the_interval_covers_the_true_median_about_as_often_as_it_says() -> None:
    draw = random.Random(7)
    covered = 0
    for seed in range(200):
        low_s, high_s = bootstrap_interval_s([draw.gauss(1.0, 0.02) for _ in range(12)], seed)
        covered += low_s <= 1.0 <= high_s

    assert 0.88 < covered / 200 < 0.995


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


def test_a_case_without_a_limit_has_no_efficiency(made: Callable[..., Record]) -> None:
    (summary,) = summarise([replace(made(), limit=None)])

    assert summary.efficiency is None
    assert [] == summarise([])
