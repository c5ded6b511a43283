"""Intervals over processes have the width of Student's, and so their coverage in small numbers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from capratio.scaling.bootstrap import draw_locations, interval, location, widening

numbers = st.lists(st.floats(-100, 100), min_size=1, max_size=9)


@given(numbers)
def test_the_location_is_the_median_of_pairwise_means(values: list[float]) -> None:
    means = [(a + b) / 2 for i, a in enumerate(values) for b in values[i:]]

    assert np.median(means) == pytest.approx(float(location(np.array(values))))


def test_one_wild_process_of_seven_moves_the_location_little() -> None:
    calm = np.array([0.98, 0.99, 1.0, 1.0, 1.01, 1.02, 1.0])

    wild = np.where(np.arange(7) == 6, 50.0, calm)

    assert abs(float(location(wild)) - float(location(calm))) < 0.02


def test_an_interval_of_three_is_as_wide_as_students_would_be() -> None:
    # By hand: sqrt(3/2) · t(2) / z = 1.2247 · 4.3027 / 1.9600.
    assert 2.689 == pytest.approx(widening(3, 2), abs=1e-3)
    assert 1.0 == pytest.approx(widening(10**6, 10**6 - 1), abs=1e-5)


@pytest.mark.parametrize("n", [3, 5, 7, 12])
def test_95_percent_intervals_cover_in_more_than_90_of_100(n: int) -> None:
    rng = np.random.default_rng(n)
    hits = 0

    for _ in range(400):
        low, high = interval(draw_locations(rng.normal(1.0, 0.03, n), 400, rng), 0.95)
        hits += bool(low <= 1.0 <= high)

    assert 0.90 <= hits / 400 <= 0.995


def test_plain_percentiles_of_three_would_not_cover() -> None:
    rng = np.random.default_rng(0)
    hits = 0

    for _ in range(400):
        values = rng.normal(1.0, 0.03, 3)
        # What the draws are without being moved apart.
        drawn = location(values) + (draw_locations(values, 400, rng) - location(values)) / widening(3, 2)
        low, high = interval(drawn, 0.95)
        hits += bool(low <= 1.0 <= high)

    assert hits / 400 < 0.85


def test_a_single_process_has_no_interval() -> None:
    drawn = draw_locations(np.array([2.0]), 50, np.random.default_rng(0))

    assert [2.0] * 50 == list(drawn)


def test_the_same_seed_gives_the_same_draws() -> None:
    values = np.array([1.0, 2.0, 4.0])

    first, again = (draw_locations(values, 100, np.random.default_rng(3)) for _ in range(2))

    assert (first == again).all()


def test_many_processes_are_drawn_in_chunks_without_a_difference() -> None:
    values = np.random.default_rng(0).normal(size=120)

    low, high = interval(draw_locations(values, 1000, np.random.default_rng(1)), 0.95)

    half_width = stats.t.ppf(0.975, 119) / np.sqrt(120 * 0.955)
    assert 2 * half_width == pytest.approx(float(high - low), rel=0.25)
