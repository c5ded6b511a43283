"""The goals of the comparison as rows of text, for the page and its Markdown twin alike."""

from collections.abc import Sequence
from dataclasses import dataclass

from capratio.report.goal_answers import GoalAnswer
from capratio.report.goals import Goal
from capratio.report.quantities import NOTHING, measured, number, quantity
from capratio.report.side_by_side import Estimate

HEADINGS = ("goal", "to reach", "points", "seen, with 95 % interval", "worst point", "answer")
WORDS = (
    "The goals of the kernels, each with what this run saw: medians over processes, of a mean over all points, else of "
    "the point that lies farthest beyond its bound. A goal is met where every interval keeps its bound, missed where a "
    "whole interval lies beyond it, and undecided otherwise. A point that keeps one of two bounds is good. One process "
    "alone has no interval, and is judged by its median."
)
# The class of a status, as of a verdict: never by colour alone.
_TONES = {"met": "holds", "missed": "broken", "undecided": "undecided", "absent": "undecided", "told": ""}

_WORDS = {"met": "✓ met", "told": "told, without a goal", "absent": "not in this run"}


@dataclass(frozen=True, slots=True)
class GoalRow:
    """One goal as words: ``cells`` under ``HEADINGS``. tone: as a verdict's, or nothing. missed: why, where it is."""

    cells: Sequence[str]
    tone: str
    missed: str


def goal_rows(answers: Sequence[GoalAnswer]) -> list[GoalRow]:
    """One row a goal."""
    return [_row(answer) for answer in answers]


def _row(answer: GoalAnswer) -> GoalRow:
    goal = answer.goal
    points = str(answer.points)
    if answer.without_time:
        points += f", and {answer.without_time} without a time"
    cells = (goal.what, _bound(goal), points, _seen(answer), answer.case or NOTHING, _verdict(answer))
    return GoalRow(cells, _TONES[answer.status], " ".join(goal.missed.split()) if _is_beyond(answer) else "")


def _bound(goal: Goal) -> str:
    if goal.told:
        return NOTHING
    bounds = [] if goal.ratio_at_most is None else [f"≤ {number(goal.ratio_at_most)}"]
    if goal.excess_at_most_s is not None:
        bounds.append(f"≤ {quantity(goal.excess_at_most_s, 's', 2)} more")
    return f"{'geometric mean' if goal.statistic == 'mean' else 'worst'} {' or '.join(bounds)}"


def _seen(answer: GoalAnswer) -> str:
    seen = [] if answer.ratio is None else [_interval(answer.ratio)]
    if answer.excess_s is not None:
        seen.append(f"{_interval(answer.excess_s, 's')} more")
    return ", ".join(seen) or NOTHING


def _verdict(answer: GoalAnswer) -> str:
    if answer.status in _WORDS:
        return _WORDS[answer.status]
    if not _is_beyond(answer):
        return "? undecided: the medians keep it, an interval does not"
    mark = "? undecided:" if answer.status == "undecided" else "✗"
    goal = answer.goal
    only_excess = goal.ratio_at_most is None and goal.excess_at_most_s is not None
    assert answer.beyond is not None
    by = quantity(answer.beyond * (goal.excess_at_most_s or 0.0), "s") if only_excess else f"{answer.beyond:.0%}"
    return f"{mark} missed by {by}" + (
        "" if goal.statistic == "mean" else f", by {answer.missed_points} of {answer.points} points"
    )


def _is_beyond(answer: GoalAnswer) -> bool:
    """Whether the median lies beyond a bound."""
    return answer.status in ("missed", "undecided") and answer.beyond is not None and answer.beyond > 0


def _interval(estimate: Estimate, unit: str = "") -> str:
    return measured(estimate.value, estimate.low, estimate.high, unit)
