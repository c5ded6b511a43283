"""A line of the forest plot: where 1, the budget, the interval and the estimate stand, as a hand places them."""

from math import inf

import pytest

from capratio.cli.gate_forest import WIDTH, forest_line
from capratio.gate.decision import Decision


def line(ratio: float | None, low: float | None = None, high: float | None = None, budget: float = 0.02) -> str:
    return forest_line(Decision("a", "undecided", budget, ratio, low, high))


def test_one_stands_in_the_middle_and_the_budgets_a_quarter_of_a_half_beside_it() -> None:
    told = line(1.0, 1.0, 1.0)
    assert (WIDTH - 1) // 2 == told.index("●")
    assert [12, 20] == [place for place, mark in enumerate(told) if mark == "┊"]


def test_a_slowdown_lies_to_the_right_of_its_budget() -> None:
    told = line(1.06, 1.05, 1.07)

    assert told.index("●") > told.rindex("┊")
    assert "─" in told


@pytest.mark.parametrize("low, high, first, last", [(0.0, inf, "◀", "▶"), (0.5, 1.0, "◀", "·"), (1.0, 2.0, "·", "▶")])
def test_what_lies_beyond_the_line_ends_in_an_arrow(low: float, high: float, first: str, last: str) -> None:
    told = line(1.0, low, high)

    assert (WIDTH, first, last) == (len(told), told[0], told[-1])


@pytest.mark.parametrize("ratio, arrow, place", [(0.9, "◀", 0), (0.0, "◀", 0), (1.2, "▶", -1), (inf, "▶", -1)])
def test_a_case_beyond_the_line_is_an_arrow_alone(ratio: float, arrow: str, place: int) -> None:
    told = line(ratio, ratio * 0.99, ratio * 1.01)

    assert WIDTH == len(told)
    assert arrow == told[place]
    assert "─" not in told
    assert "●" not in told


def test_a_case_without_an_estimate_has_no_line_and_one_without_a_budget_has() -> None:
    assert "" == line(None)
    assert "●" in line(1.001, 1.0, 1.002, budget=0.0)
