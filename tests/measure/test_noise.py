"""The noise of a median, by ranks, and clocks."""

from math import inf, isclose

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capratio.measure.clock import PerfClock, clock_resolution_s
from capratio.measure.noise import median_interval, relative_noise


def test_the_interval_of_a_known_sample_is_that_of_the_hand_count() -> None:
    # A fair coin shows at most one head in 9 throws with 10 / 512 = 2 %, and at most two with 9 %: ranks 2 and 8.
    assert (2.0, 8.0) == median_interval([float(value) for value in (9, 1, 8, 2, 7, 3, 6, 4, 5)])
    # Half of 6 over the median 5.
    assert isclose(0.6, relative_noise([9.0, 1.0, 8.0, 2.0, 7.0, 3.0, 6.0, 4.0, 5.0]))


@pytest.mark.parametrize("n, rank", [(6, 1), (10, 2), (20, 6), (100, 40), (500, 228), (501, 228), (10_000, 4902)])
def test_the_ranks_of_the_interval_are_those_of_the_binomial_distribution(n: int, rank: int) -> None:
    ordered = [float(value) for value in range(1, n + 1)]

    assert (rank, n + 1 - rank) == median_interval(ordered)


def test_outliers_do_not_make_a_quiet_case_noisy() -> None:
    quiet = [1.0] * 30

    assert 0.0 == relative_noise([*quiet, 1e6, 1e6, 1e6])


def test_five_samples_have_no_noise_that_can_be_known() -> None:
    assert inf == relative_noise([1.0] * 5)


@given(st.lists(st.floats(1e-6, 1e3), min_size=6, max_size=40), st.floats(1e-3, 1e3))
def test_the_relative_noise_has_no_unit(samples: list[float], scale: float) -> None:
    scaled = [sample * scale for sample in samples]

    assert isclose(relative_noise(samples), relative_noise(scaled), rel_tol=1e-9, abs_tol=1e-9)


def test_the_clock_of_the_process_never_falls() -> None:
    clock = PerfClock()

    readings = [clock.now_s() for _ in range(100)]

    assert sorted(readings) == readings


def test_the_resolution_of_a_clock_is_its_smallest_step() -> None:
    class Stepping:
        readings = iter([0.0, 0.0, 3.0, 3.0, 5.0, 5.0, 9.0])

        def now_s(self) -> float:
            return next(self.readings)

    assert 2.0 == clock_resolution_s(Stepping(), ticks=3)
