"""Where everything of a gate's forest plot stands, in pixels; a template draws it.

One row a case: its name, its budget as a band around 1, its interval as a bar, its estimate as a mark, its numbers. The
axis is the logarithm of head / base, so that twice as slow and twice as fast lie equally far from 1.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, exp, floor, isfinite, log, log1p
from statistics import median

from capratio.display import printable
from capratio.gate.decision import Decision
from capratio.gate.outcome_words import interval_text, ratio_text

WIDTH = 1040.0
ROW = 20.0
# Above the rows: headings, and in a long plot the ticks once more.
TOP = 26.0
TICKS_ABOVE = 14.0
LONG = 25
BOTTOM = 44.0
# What the numbers and the decision at the right take.
NUMBERS = 250.0
# Advance of a character of the names, which have one width: 11 px at 0.602 em.
CHARACTER = 6.63
MOST_CHARACTERS = 56
# Budgets from 1 to the end of the axis, at least and at most: a band is seen, and an outlier ends in an arrow.
FEWEST_BUDGETS = 2.0
MOST_BUDGETS = 12.0
# The budget of a case that has none, as a length of the axis.
NO_BUDGET = 0.01
MOST_TICKS = 9
# Rows that can still be read; a table has the others.
MOST_ROWS = 200
_STEPS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)


@dataclass(frozen=True, slots=True)
class PlotRow:
    """One case: horizontal places in pixels, cut off at the ends of the axis.

    at: of the estimate, None where it lies beyond. cut_low, cut_high: whether the interval goes on beyond.
    """

    name: str
    full_name: str
    status: str
    numbers: str
    y: float
    low: float
    high: float
    at: float | None
    band_low: float
    band_high: float
    cut_low: bool
    cut_high: bool


@dataclass(frozen=True, slots=True)
class Plot:
    """A forest plot: its rows, its ticks as (place, label), and the frame that they stand in."""

    rows: Sequence[PlotRow]
    ticks: Sequence[tuple[float, str]]
    left: float
    right: float
    one: float
    bottom: float
    top: float
    height: float
    ticks_above: bool
    width: float = WIDTH
    row: float = ROW


@dataclass(frozen=True, slots=True)
class _Axis:
    """From logarithms to pixels."""

    low: float
    high: float
    left: float
    right: float

    def place(self, ratio: float) -> float:
        """Where a ratio stands, at an end of the axis where it lies beyond."""
        return self.left + (self.right - self.left) * (self._clipped(ratio) - self.low) / (self.high - self.low)

    def inside(self, ratio: float) -> bool:
        """Whether a ratio lies on the axis."""
        return self.low <= _log(ratio) <= self.high

    def _clipped(self, ratio: float) -> float:
        return min(max(_log(ratio), self.low), self.high)


def forest_plot(decisions: Sequence[Decision], names: Sequence[str]) -> Plot | None:
    """The plot of the first ``MOST_ROWS`` decisions that have an estimate, in their order; None where none has.

    Args: names: as they are shown, one a decision.
    """
    shown = [(each, name) for each, name in zip(decisions, names, strict=True) if each.ratio is not None]
    shown = shown[:MOST_ROWS]
    if not shown:
        return None
    left = CHARACTER * min(max(len(name) for _, name in shown), MOST_CHARACTERS) + 24.0
    axis = _Axis(*_range([each for each, _ in shown]), left, WIDTH - NUMBERS)
    top = TOP + (TICKS_ABOVE if len(shown) > LONG else 0.0)
    bottom = top + ROW * len(shown)
    return Plot(
        rows=[_row(each, name, axis, top + ROW * (at + 0.5)) for at, (each, name) in enumerate(shown)],
        ticks=[(axis.place(tick), f"{tick:.6g}") for tick in _ticks(axis.low, axis.high)],
        left=axis.left,
        right=axis.right,
        one=axis.place(1.0),
        bottom=bottom,
        top=top,
        height=bottom + BOTTOM,
        ticks_above=len(shown) > LONG,
    )


def _row(decision: Decision, name: str, axis: _Axis, y: float) -> PlotRow:
    ratio, low, high = decision.ratio, decision.low, decision.high
    assert ratio is not None
    assert low is not None
    assert high is not None
    return PlotRow(
        name=_shortened(name),
        full_name=printable(decision.case),
        status=decision.status,
        numbers=f"{ratio_text(ratio)} [{interval_text(decision)}]",
        y=y,
        low=axis.place(low),
        high=axis.place(high),
        at=axis.place(ratio) if axis.inside(ratio) else None,
        band_low=axis.place(1.0 / (1.0 + decision.budget)),
        band_high=axis.place(1.0 + decision.budget),
        cut_low=_log(low) < axis.low,
        cut_high=_log(high) > axis.high,
    )


def _range(decisions: Sequence[Decision]) -> tuple[float, float]:
    """The ends of the axis: what the intervals need on each side of 1, within bounds that the budgets set."""
    budgets = [log1p(each.budget) or NO_BUDGET for each in decisions]
    least = max(FEWEST_BUDGETS * median(budgets), 1.25 * max(budgets))
    most = max(MOST_BUDGETS * median(budgets), least)
    places = [_log(ratio) for each in decisions for ratio in (each.low, each.ratio, each.high) if ratio is not None]
    finite = [place for place in places if isfinite(place)]
    low, high = (min(max(1.05 * need, least), most) for need in (-min(finite), max(finite)))
    return -low, high


def _ticks(low: float, high: float) -> list[float]:
    """Round ratios between two logarithms: equal steps around 1, or powers where the axis is long."""
    for step in _STEPS:
        first, last = ceil((exp(low) - 1.0) / step), floor((exp(high) - 1.0) / step)
        if last - first < MOST_TICKS:
            return [1.0 + place * step for place in range(first, last + 1)]
    for power in (2.0, 10.0, 100.0):
        first, last = ceil(low / log(power)), floor(high / log(power))
        if last - first < MOST_TICKS:
            break
    return [power**place for place in range(first, last + 1)]


def _log(ratio: float) -> float:
    return log(ratio) if ratio > 0 else -float("inf")


def _shortened(name: str) -> str:
    half = MOST_CHARACTERS // 2
    return name if len(name) <= MOST_CHARACTERS else f"{name[: half - 1]}…{name[-half:]}"
