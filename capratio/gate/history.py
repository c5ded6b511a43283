"""What a benchmark did over many commits: its levels, the steps between them, and whether it lost more than its budget.

A gate that lets each pull request lose its budget lets ten of them lose ten budgets. A history holds the last level
against the first (the drift) and against the best before it (the loss), on logarithms, by rank sums of the commits.

A series that is counted has a step wherever its number changes. One that is measured has noise: ``history_steps``
bounds the chance of a step in a whole history without any by ``alpha``, corrected by Bonferroni for the number of
measured series. Every interval has its bounds at that corrected level too, but takes the places of the steps as given,
which they are not: of 1000 series of 40 commits with a step of exactly the budget at their middle, 6.3 % are said to
have lost more where the noise is half the budget, and 9.1 % where it is as large (measured at 5 %).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf, log
from statistics import median

from scipy import stats

from capratio.gate.asv_history import AsvSeries
from capratio.gate.history_kinds import Kind, kind_of
from capratio.gate.history_steps import Cut, fewest_commits, find_cuts
from capratio.gate.policy import Policy
from capratio.gate.rank_inference import ratio_of, unpaired

# Commits on either side of a step whose trend tells a slope from a jump; the slope of fewer than the least is noise.
NEAR = 6
FEWEST_SLOPE = 4

STATUSES = ("drifted", "stepped", "undecided", "moved", "not judged", "steady", "short", "not positive")
"""``drifted``: the bound of the loss lies beyond the budget, and the jump of no commit since the best level does.
``stepped``: that of one of them does too. ``undecided``: the loss lies beyond the budget and its bound does not.
``moved``: there are steps, and no loss beyond the budget. ``not judged``: there are steps, and no direction is better.
``steady``: no step. ``short``: too few commits to show one. ``not positive``: numbers without a logarithm."""


@dataclass(frozen=True, slots=True)
class Change:
    """A later level over an earlier one, with the bounds of its interval; all three equal where both are counted."""

    ratio: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Level:
    """Commits from ``start`` up to ``stop``, which is not of them, and the median of their numbers."""

    start: int
    stop: int
    value: float


@dataclass(frozen=True, slots=True)
class Step:
    """A new level from the commit at ``place`` on.

    change: over the level before. jump: what the one commit changed, as a ratio, the trend of the commits on either
    side left out: less than the change where a slope was cut into stairs. p: the chance of such a step anywhere in a
    history without one, at most; None where the numbers are counted.
    """

    place: int
    change: Change
    jump: float
    p: float | None


@dataclass(frozen=True, slots=True)
class History:
    """One series and what is said of it.

    budget: the share that may be lost. drift: the last level over the first. loss: the last level over the best one
    before it. status: one of ``STATUSES``.
    """

    series: AsvSeries
    kind: Kind
    budget: float
    levels: tuple[Level, ...]
    steps: tuple[Step, ...]
    drift: Change | None
    loss: Change | None
    status: str


def histories(series: Iterable[AsvSeries], policy: Policy) -> tuple[History, ...]:
    """What each series did, with at most a chance of ``policy.alpha`` of a step in a whole history without any."""
    every = tuple(series)
    level = level_of_each(every, policy)
    return tuple(_history(each, kind_of(each.benchmark), policy, level) for each in every)


def level_of_each(series: Sequence[AsvSeries], policy: Policy) -> float:
    """The chance of a step in one measured series without any: alpha over their number."""
    return policy.alpha / max(1, sum(not kind_of(each.benchmark).exact for each in series))


def is_beyond(change: Change, kind: Kind, budget: float, *, surely: bool) -> bool:
    """Whether a change is worse than a budget: by its estimate, or ``surely``, by its bound; False without a direction.

    Where more is better, it is the earlier level that lies above the budget, seen from the later one.
    """
    if kind.better == "lower":
        return (change.low if surely else change.ratio) > 1.0 + budget
    return kind.better == "higher" and (change.high if surely else change.ratio) * (1.0 + budget) < 1.0


def _history(series: AsvSeries, kind: Kind, policy: Policy, level: float) -> History:
    values = [point.value for point in series.points]
    budget = policy.budget(series.case, kind.quantity)
    if kind.exact:
        cuts = [Cut(place, 0.0) for place in range(1, len(values)) if values[place] != values[place - 1]]
    elif min(values) <= 0:
        return History(series, kind, budget, (), (), None, None, "not positive")
    else:
        cuts = list(find_cuts([log(value) for value in values], level))
    edges = [0, *(cut.place for cut in cuts), len(values)]
    levels = [Level(start, stop, median(values[start:stop])) for start, stop in pairwise(edges)]

    def change(earlier: Level, later: Level) -> Change:
        if kind.exact:
            return _counted(earlier.value, later.value)
        return _measured(values[earlier.start : earlier.stop], values[later.start : later.stop], level)

    def step(cut: Cut, earlier: Level, later: Level) -> Step:
        found = change(earlier, later)
        if kind.exact:
            return Step(cut.place, found, found.ratio, None)
        jump = _jump(values[max(0, cut.place - NEAR) : cut.place], values[cut.place : cut.place + NEAR])
        return Step(cut.place, found, jump, cut.p)

    steps = [step(*each) for each in zip(cuts, levels[:-1], levels[1:], strict=True)]
    if not steps:
        short = len(values) < (2 if kind.exact else fewest_commits(level))
        return History(series, kind, budget, tuple(levels), (), None, None, "short" if short else "steady")
    best = (max if kind.better == "higher" else min)(levels[:-1], key=lambda each: each.value)
    loss = None if kind.better is None else change(best, levels[-1])
    since = [step for step in steps if step.place > best.start]
    status = _status(loss, since, kind, budget)
    return History(series, kind, budget, tuple(levels), tuple(steps), change(levels[0], levels[-1]), loss, status)


def _status(loss: Change | None, since: list[Step], kind: Kind, budget: float) -> str:
    """Args: since: the steps after the best level, whose sum is the loss."""
    if loss is None:
        return "not judged"
    if is_beyond(loss, kind, budget, surely=True):
        alone = any(is_beyond(_certain(step.jump), kind, budget, surely=False) for step in since)
        return "stepped" if alone else "drifted"
    return "undecided" if is_beyond(loss, kind, budget, surely=False) else "moved"


def _counted(earlier: float, later: float) -> Change:
    return _certain(later / earlier if earlier else (1.0 if later == earlier else inf))


def _certain(ratio: float) -> Change:
    return Change(ratio, ratio, ratio)


def _measured(earlier: Sequence[float], later: Sequence[float], level: float) -> Change:
    inference = unpaired([log(value) for value in earlier], [log(value) for value in later])
    return Change(ratio_of(inference.estimate), ratio_of(inference.low(level)), ratio_of(inference.high(level)))


def _jump(earlier: Sequence[float], later: Sequence[float]) -> float:
    """The first of the later commits over the last of the earlier ones, each on the line through its own side."""
    return ratio_of(_line_at_start(later) - _line_at_start(earlier[::-1]))


def _line_at_start(values: Sequence[float]) -> float:
    """The logarithm at the first place of the Theil-Sen line through values; their median where they are few."""
    logs = [log(value) for value in values]
    return float(stats.theilslopes(logs).intercept) if len(logs) >= FEWEST_SLOPE else median(logs)
