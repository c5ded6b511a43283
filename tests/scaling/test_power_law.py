"""The fit c0 + a·x^b finds the exponent, its interval covers it, and a floor does not hide it."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from capratio.scaling.bootstrap import Floats
from capratio.scaling.margins import Margins, default_margins
from capratio.scaling.power_law import PowerFit, fit_difference, fit_total

DEPTHS = np.arange(1.0, 13.0)
WIDTHS = np.array([128.0, 192.0, 257.0, 384.0, 512.0, 769.0, 1024.0, 1536.0])
DENSE_S = 113e-6

Curve = Callable[[Floats], Floats]


def noisy(y: Floats, processes: int, rng: np.random.Generator, spread: float = 0.03) -> Floats:
    return np.asarray(y[:, None] * np.exp(rng.normal(0.0, spread, (len(y), processes))))


def difference_fit(
    law: Curve, margins: Margins, seed: int, x: Floats = DEPTHS, processes: int = 7, spread: float = 0.03
) -> PowerFit:
    """Overhead over a dense layer whose processes are shared by all sizes, as in a run over depth."""
    rng = np.random.default_rng(seed)
    dense = DENSE_S * np.exp(rng.normal(0.0, spread, processes))
    totals = noisy(DENSE_S + law(x), processes, rng, spread)
    return fit_difference(x, list(totals - dense), np.median(totals, axis=1), margins, rng)


def plain_slope(x: Floats, y: Floats) -> float:
    """The slope of log y over log x by least squares: what a fit that knows no floor would say."""
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])


@pytest.mark.parametrize("exponent", [-0.5, 0.0, 0.5, 1.0, 1.37, 2.0, 3.5])
def test_without_noise_the_exponent_is_found_exactly(exponent: float, margins: Margins) -> None:
    grown = np.log(DEPTHS) if exponent == 0 else (DEPTHS**exponent - 1) / exponent

    fit = difference_fit(lambda x: 1e-4 + 1e-5 * grown, margins, 0, spread=0.0)

    assert exponent == pytest.approx(fit.exponent, abs=2e-3)


@given(st.floats(0.3, 3.0), st.floats(0.0, 60.0), st.floats(1e-8, 1e9))
def test_totals_of_any_scale_and_floor_give_back_their_law(exponent: float, floor: float, scale: float) -> None:
    y = scale * (floor + WIDTHS**exponent)
    few = replace(default_margins(), bootstrap_draws=20)

    fit = fit_total(WIDTHS, [np.array([value]) for value in y], few, np.random.default_rng(0))

    assert exponent == pytest.approx(fit.exponent, abs=5e-3)
    assert y == pytest.approx(fit.at(WIDTHS), rel=1e-2)


@pytest.mark.parametrize("processes", [3, 7])
def test_intervals_of_differences_cover_the_exponent_in_more_than_90_of_100(processes: int, margins: Margins) -> None:
    fits = [difference_fit(lambda x: 5e-5 + 1.13e-4 * x, margins, seed, processes=processes) for seed in range(200)]

    assert sum(fit.low <= 1.0 <= fit.high for fit in fits) / 200 >= 0.90


@pytest.mark.parametrize("floor", [0.0, 1.0, 50.0])
def test_intervals_of_totals_cover_the_exponent_in_more_than_90_of_100(floor: float, margins: Margins) -> None:
    rng = np.random.default_rng(1)

    fits = [fit_total(DEPTHS, list(noisy(floor + DEPTHS, 7, rng)), margins, rng) for _ in range(120)]

    assert sum(fit.low <= 1.0 <= fit.high for fit in fits) / 120 >= 0.90


def test_a_floor_of_fifty_hides_the_law_from_a_plain_slope_and_not_from_the_fit(margins: Margins) -> None:
    rng, x = np.random.default_rng(2), np.array([1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0])
    totals = noisy(50.0 + x, 7, rng, spread=0.005)

    slopes = [plain_slope(x, column) for column in totals.T]
    fit = fit_total(x, list(totals), margins, rng)

    assert max(slopes) < 0.5
    assert fit.low <= 1.0 <= fit.high
    assert fit.high - fit.low < 0.3


@pytest.mark.parametrize(
    "law, low, high",
    [
        (lambda x: 5e-5 + 1e-4 * x**2, 1.9, 2.1),
        (lambda x: 5e-5 + 3e-4 * np.sqrt(x), 0.2, 0.8),
        (lambda x: 5e-5 + 1e-5 * 2.0**x, 3.9, 4.0),
        (lambda x: 1e-3 - 5e-5 * x, -1.0, -1.0),
    ],
    ids=["square", "root", "exponential", "falling"],
)
def test_a_wrong_law_has_an_interval_that_leaves_one_out(law: Curve, low: float, high: float, margins: Margins) -> None:
    fit = difference_fit(law, margins, 5)

    assert low - 1e-9 <= fit.low <= fit.high <= high + 1e-9


def test_a_constant_has_no_exponent(margins: Margins) -> None:
    fit = difference_fit(lambda x: np.full_like(x, 5e-4), margins, 3)

    assert fit.high - fit.low > 1.0


def test_one_noisy_size_does_not_decide_the_exponent(margins: Margins) -> None:
    rng = np.random.default_rng(4)
    overhead = noisy(1e-4 * DEPTHS, 7, rng, 0.01)
    overhead[-1] *= np.exp(rng.normal(0.4, 0.4, 7))

    fit = fit_difference(DEPTHS, list(overhead), np.median(overhead, axis=1), margins, rng)

    assert 1.0 == pytest.approx(fit.exponent, abs=0.1)


def test_few_processes_with_a_small_spread_by_luck_do_not_outweigh_the_others(margins: Margins) -> None:
    rng = np.random.default_rng(6)
    overhead = noisy(1e-4 * DEPTHS, 3, rng)
    # Three equal processes, off the line by their common luck.
    overhead[2] = 1.06 * 3e-4

    fit = fit_difference(DEPTHS, list(overhead), np.median(overhead, axis=1), margins, rng)

    assert fit.low <= 1.0 <= fit.high
