"""Where the parts of a forest plot stand, as a hand places them."""

from dataclasses import replace
from math import inf

import pytest

from capratio.gate.decision import Decision
from capratio.report.gate_plot import MOST_CHARACTERS, Plot, forest_plot

CASE = Decision("a", "unchanged", 0.02, 1.0, 0.99, 1.01)


def plot(*decisions: Decision) -> Plot:
    made = forest_plot(decisions, [each.case for each in decisions])
    assert made is not None
    return made


def test_twice_as_slow_and_twice_as_fast_lie_equally_far_from_one() -> None:
    made = plot(replace(CASE, ratio=2.0, budget=1.0), replace(CASE, ratio=0.5, budget=1.0))

    slow, fast = (row.at for row in made.rows)
    assert slow is not None
    assert fast is not None
    assert made.one - fast == pytest.approx(slow - made.one)


def test_the_band_reaches_from_budget_to_budget_around_one() -> None:
    (row,) = plot(CASE).rows

    assert row.band_low < row.low < row.high < row.band_high


def test_an_outlier_ends_in_an_arrow_and_leaves_the_bands_wide_enough_to_be_seen() -> None:
    made = plot(*[CASE] * 3, replace(CASE, ratio=90.0, low=80.0, high=100.0))

    *_, row = made.rows
    assert (None, made.right, made.right, False, True) == (row.at, row.low, row.high, row.cut_low, row.cut_high)
    assert 20.0 < row.band_high - row.band_low


def test_an_interval_without_bounds_goes_on_at_both_ends() -> None:
    made = plot(replace(CASE, low=0.0, high=inf))

    (row,) = made.rows
    assert (made.left, made.right, True, True) == (row.low, row.high, row.cut_low, row.cut_high)


@pytest.mark.parametrize("budget", [0.0, 0.001, 0.02, 0.5, 10.0])
@pytest.mark.parametrize("ratio", [1e-9, 0.3, 1.0, 1.002, 3.0, 1e9])
def test_the_axis_has_one_and_a_handful_of_ticks_whatever_it_holds(budget: float, ratio: float) -> None:
    made = plot(CASE, replace(CASE, budget=budget, ratio=ratio, low=ratio / 1.1, high=ratio * 1.1))

    assert "1" in [label for _, label in made.ticks]
    assert 2 <= len(made.ticks) <= 9
    assert all(made.left <= place <= made.right for place, _ in made.ticks)


def test_a_long_name_loses_its_middle() -> None:
    (row,) = plot(replace(CASE, case="a" * 50 + "b" * 50)).rows

    assert MOST_CHARACTERS == len(row.name)
    assert (row.name[:2], row.name[-2:], row.full_name) == ("aa", "bb", "a" * 50 + "b" * 50)


def test_cases_without_an_estimate_are_not_drawn() -> None:
    assert forest_plot([Decision("a", "undecided", 0.02)], ["a"]) is None
