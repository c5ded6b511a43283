"""Whether a run reaches its goals: what was seen with its interval, the worst point, and by how much a goal is missed.

A point counts by its median over processes. No point is judged where there is none.
"""

import math
import statistics
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from capratio.records.summary import DRAWS, LEVEL, widening
from capratio.report.goal_points import GoalPoint, RunCases, covered
from capratio.report.goals import Goal
from capratio.report.side_by_side import Estimate, difference_over_processes, ratio_over_processes

if TYPE_CHECKING:
    from capratio.records.record import Record


@dataclass(frozen=True, slots=True)
class GoalAnswer:
    """What a run says to a goal.

    points: how many it covers; without_time: how many more had no time on one side. ratio, excess_s: what was seen,
    each where the goal bounds it: the mean over all points, or the worst point's. case: the worst point's, of a mean
    the one with the largest ratio. beyond: what was seen over its bound, minus 1, by the bound that is closer to being
    kept, or over 1 without one; None without a point. missed_points: how many lie beyond the bounds themselves.
    """

    goal: Goal
    points: int
    without_time: int
    ratio: Estimate | None = None
    excess_s: Estimate | None = None
    case: str | None = None
    beyond: float | None = None
    missed_points: int = 0

    @property
    def status(self) -> str:
        """``met``, ``missed``, ``told`` where the goal has no bound, or ``absent`` where the run has no point."""
        if self.beyond is None:
            return "absent"
        if self.goal.told:
            return "told"
        return "met" if self.beyond <= 0 else "missed"


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


def _answer(goal: Goal, run: RunCases) -> GoalAnswer:
    found = covered(goal, run)
    points = found.points
    if not points:
        return GoalAnswer(goal, 0, len(found.without_time))
    worst = max(points, key=lambda point: _beyond(goal, point))
    answer = GoalAnswer(goal, len(points), len(found.without_time), case=worst.case)
    if goal.statistic == "mean":
        assert goal.ratio_at_most is not None
        mean = geometric_mean(points)
        return replace(answer, ratio=mean, beyond=mean.value / goal.ratio_at_most - 1)
    # What a tree bias takes beyond a dense layer may be negative.
    together = difference_over_processes if goal.against == "own-bytes" else ratio_over_processes
    return replace(
        answer,
        ratio=together(_ratios(worst), worst.case) if goal.ratio_at_most is not None or goal.told else None,
        excess_s=None if goal.excess_at_most_s is None else difference_over_processes(_excesses_s(worst), worst.case),
        beyond=_beyond(goal, worst),
        missed_points=sum(_beyond(goal, point) > 0 for point in points),
    )


def _beyond(goal: Goal, point: GoalPoint) -> float:
    """How far a point lies beyond the bound that it comes closer to keeping, as a share of that bound, or beyond 1."""
    seen = []
    if goal.ratio_at_most is not None or goal.told:
        seen.append(statistics.median(_ratios(point)) / (goal.ratio_at_most or 1.0))
    if goal.excess_at_most_s is not None:
        seen.append(statistics.median(_excesses_s(point)) / goal.excess_at_most_s)
    return min(seen) - 1


def _ratios(point: GoalPoint) -> list[float]:
    return [ours_s / other_s for ours_s, other_s in point.times_s.values()]


def _excesses_s(point: GoalPoint) -> list[float]:
    return [ours_s - other_s for ours_s, other_s in point.times_s.values()]
