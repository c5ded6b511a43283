"""What histories say to people: a table of the series that moved, one of their steps, and a verdict last."""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from math import isfinite, log
from statistics import median

from capratio.display import text_table
from capratio.gate.history import STATUSES, Change, History
from capratio.gate.history_steps import fewest_commits
from capratio.gate.policy import Policy
from capratio.units import counted, significant

HEADERS = ["found", "benchmark", "commits", "course", "steps", "first to last", "best to last", "interval", "budget"]
STEP_HEADERS = ["benchmark", "commit", "date", "step", "interval", "in one commit", "p"]
LOST = ("drifted", "stepped")
UNSHOWN = ("steady", "short", "not positive")
# A course that a line of a table holds, and the heights of its characters.
WIDTH = 24
BARS = "▁▂▃▄▅▆▇█"


def lines(histories: Sequence[History], policy: Policy, level: float) -> list[str]:
    """For a terminal, losses first; what did not move is counted.

    Args: level: the chance of a step in one measured series without any.
    """
    moved = sorted(
        (each for each in histories if each.status not in UNSHOWN), key=lambda each: STATUSES.index(each.status)
    )
    told = []
    if moved:
        told += [text_table(HEADERS, [_row(each) for each in moved], left=["found", "benchmark", "course"]), ""]
        rows = [row for each in moved for row in _step_rows(each)]
        told += [text_table(STEP_HEADERS, rows, left=["benchmark", "commit", "date", "interval"]), ""]
    return [*told, *_notes(histories, policy, level), _headline(histories)]


def course(values: Sequence[float]) -> str:
    """A line of characters, as high as the logarithms of the numbers, oldest first; flat where they are equal.

    Of more than ``WIDTH`` numbers each character is the median of its share. Args: values: one or more, from 0 up.
    """
    wide = min(WIDTH, len(values))
    edges = [place * len(values) // wide for place in range(wide + 1)]
    shares = [median(values[start:stop]) for start, stop in pairwise(edges)]
    # What is counted can be 0, which has no logarithm.
    heights = [log(value) for value in shares] if min(shares) > 0 else shares
    low, high = min(heights), max(heights)
    if high == low:
        return BARS[0] * wide
    return "".join(BARS[round((height - low) / (high - low) * (len(BARS) - 1))] for height in heights)


def _row(history: History) -> list[object]:
    values = [point.value for point in history.series.points]
    return [
        history.status,
        history.series.case,
        len(values),
        course(values),
        len(history.steps),
        _share(history.drift.ratio) if history.drift else None,
        _share(history.loss.ratio) if history.loss else None,
        _interval(history.loss or history.drift),
        f"{history.budget:.3g}",
    ]


def _step_rows(history: History) -> list[list[object]]:
    points = history.series.points
    return [
        [
            history.series.case,
            points[step.place].commit[:8],
            points[step.place].date.date().isoformat(),
            _share(step.change.ratio),
            _interval(step.change),
            _share(step.jump),
            "exact" if step.p is None else significant(step.p, 2) if step.p >= 1e-4 else "< 0.0001",
        ]
        for step in history.steps
    ]


def _share(ratio: float) -> str:
    return f"{ratio - 1.0:+.2%}" if isfinite(ratio) else "from 0"


def _interval(change: Change | None) -> str | None:
    if change is None or change.low == change.high:
        return None
    low = _share(change.low) if change.low > 0 else "none"
    return f"{low} to {_share(change.high) if isfinite(change.high) else 'none'}"


def _notes(histories: Sequence[History], policy: Policy, level: float) -> list[str]:
    counts = Counter(each.status for each in histories)
    notes = []
    if counts["short"]:
        notes.append(
            f"{counted(counts['short'], 'benchmark')} of too few commits to show a step: what is measured needs "
            f"{fewest_commits(level)}, what is counted 2."
        )
    if counts["not positive"]:
        notes.append(
            f"{counted(counts['not positive'], 'benchmark')} with numbers that are not positive, which have no ratio."
        )
    notes.append(
        f"The chance of any step, where none of them has one, is at most {policy.alpha:.3g} in one look, as long "
        "as the noise of a commit is its own."
    )
    return notes


def _headline(histories: Sequence[History]) -> str:
    counts = Counter(each.status for each in histories)
    told = ", ".join(f"{counts[status]} {status}" for status in STATUSES if counts[status])
    lost = any(counts[status] for status in LOST)
    verdict = "Lost more than a budget." if lost else "No loss beyond a budget."
    return f"{verdict} {told}."
