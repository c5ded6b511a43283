"""Whether a run reaches its goals: what was seen with its interval, the worst point, and by how much a goal is missed.

It is met where every interval keeps its bound, missed where a whole interval lies beyond it, and undecided otherwise.
"""

import math
import statistics
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import TYPE_CHECKING

import numpy as np

from capratio.records.summary import DRAWS, LEVEL, widening
from capratio.report.goal_points import GoalPoint, RunCases, covered
from capratio.report.goals import Goal
from capratio.report.side_by_side import Estimate, difference_over_processes, ratio_over_processes

if TYPE_CHECKING:
    from capratio.records.record import Record

_VALUE, _LOW, _HIGH = attrgetter("value"), attrgetter("low"), attrgetter("high")


@dataclass(frozen=True, slots=True)
class GoalAnswer:
    """What a run says to a goal.

    status: ``met``, ``missed``, ``undecided``, ``told`` where the goal has no bound, or ``absent`` where the run has no
    point. points: how many it covers; without_time: how many more had no time on one side. ratio, excess_s: what was
    seen, each where the goal bounds it: the mean over all points, or the worst point's. case: the worst point's, of a
    mean the one with the largest ratio. beyond: what was seen over its bound, minus 1, by the bound that is closer to
    being kept, or over 1 without one; None without a point. missed_points: how many medians lie beyond the bounds.
    """

    goal: Goal
    status: str
    points: int
    without_time: int
    ratio: Estimate | None = None
    excess_s: Estimate | None = None
    case: str | None = None
    beyond: float | None = None
    missed_points: int = 0


def answer_goals(goals: Sequence[Goal], records: "Iterable[Record]") -> list[GoalAnswer]:
    """What a run says to each goal, in their order."""
    run = RunCases(records)
    return [_answer(goal, run) for goal in goals]


def geometric_mean(points: Sequence[GoalPoint]) -> Estimate:
    """The geometric mean over points of the medians over processes, with its 95 % interval.

    Processes are drawn with replacement, the same ones for all points, since the processes of one round lie close in
    time; a point that one of them did not measure stands there at its own median. Widened as ``bootstrap_interval_s``.
    """
    processes = sorted({process for point in points for process in point.times_s})
    medians = np.log([statistics.median(_ratios(point)) for point in points])
    logs = np.repeat(medians[:, None], len(processes), axis=1)
    for row, point in enumerate(points):
        for process, (ours_s, other_s) in point.times_s.items():
            logs[row, processes.index(process)] = math.log(ours_s / other_s)
    mean = float(medians.mean())
    if len(processes) == 1:
        return Estimate(math.exp(mean), math.exp(mean), math.exp(mean))
    seed = zlib.crc32("".join(point.case for point in points).encode())
    drawn = np.random.default_rng(seed).integers(len(processes), size=(DRAWS, len(processes)))
    means = np.median(logs[:, drawn], axis=2).mean(axis=0)
    ends = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    low, high = mean + widening(len(processes)) * (ends - mean)
    return Estimate(math.exp(mean), math.exp(low), math.exp(high))


@dataclass(frozen=True, slots=True)
class _Seen:
    """What was seen at one point, or of the mean over all, where the goal bounds it or has no bound."""

    goal: Goal
    case: str
    ratio: Estimate | None
    excess_s: Estimate | None

    def beyond(self, end: Callable[[Estimate], float]) -> float:
        """How far it lies beyond the bound that it comes closer to keeping, as a share of that bound, or beyond 1."""
        shares = [] if self.ratio is None else [end(self.ratio) / (self.goal.ratio_at_most or 1.0)]
        if self.excess_s is not None and self.goal.excess_at_most_s is not None:
            shares.append(end(self.excess_s) / self.goal.excess_at_most_s)
        return min(shares) - 1


def _answer(goal: Goal, run: RunCases) -> GoalAnswer:
    found = covered(goal, run)
    if not found.points:
        return GoalAnswer(goal, "absent", 0, len(found.without_time))
    each = [_seen(goal, point) for point in found.points]
    worst = max(each, key=lambda seen: seen.beyond(_VALUE))
    mean = goal.statistic == "mean"
    shown = replace(worst, ratio=geometric_mean(found.points)) if mean else worst
    return GoalAnswer(
        goal,
        "told" if goal.told else _status([shown] if mean else each),
        len(each),
        len(found.without_time),
        shown.ratio,
        shown.excess_s,
        worst.case,
        shown.beyond(_VALUE),
        sum(seen.beyond(_VALUE) > 0 for seen in each),
    )


def _status(judged: Sequence[_Seen]) -> str:
    if all(seen.beyond(_HIGH) <= 0 for seen in judged):
        return "met"
    return "missed" if any(seen.beyond(_LOW) > 0 for seen in judged) else "undecided"


def _seen(goal: Goal, point: GoalPoint) -> _Seen:
    # What a tree bias takes beyond a dense layer may be negative.
    together = difference_over_processes if goal.against == "own-bytes" else ratio_over_processes
    return _Seen(
        goal,
        point.case,
        together(_ratios(point), point.case) if goal.ratio_at_most is not None or goal.told else None,
        None if goal.excess_at_most_s is None else difference_over_processes(_excesses_s(point), point.case),
    )


def _ratios(point: GoalPoint) -> list[float]:
    return [ours_s / other_s for ours_s, other_s in point.times_s.values()]


def _excesses_s(point: GoalPoint) -> list[float]:
    return [ours_s - other_s for ours_s, other_s in point.times_s.values()]
