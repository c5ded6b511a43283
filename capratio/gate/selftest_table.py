"""A selftest as rows of words: what was measured, what is to be reached, and what was seen; and its whole runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from capratio.gate.proportion import Proportion
from capratio.gate.selftest import SLOWDOWNS, CurvePoint, Selftest, WholeRun
from capratio.units import seconds, whole

# Slowdown → the chance to find it that the gate is to reach.
POWER_GOALS = {0.10: 0.99, 0.05: 0.95}
FALSE_ALARMS_GOAL = 0.01
FEWEST_RUNS = 10
HEADINGS = ("measured", "to reach", "seen", "reached")
RUN_HEADINGS = (
    "run",
    "started, UTC",
    "slowed by",
    "decided",
    "slower found",
    "false",
    "improved",
    "blocks",
    "time",
    "spread",
    "void",
)
NOT_MEASURED = "not measured"
NOTHING = "-"


@dataclass(frozen=True, slots=True)
class Row:
    """One row; reached: None where nothing is to be reached, or too little was measured. name: the goal in a few words,
    or None where there is none.
    """

    measured: str
    goal: str
    seen: str
    reached: bool | None
    name: str | None = None

    def cells(self) -> list[str]:
        """Its words under ``HEADINGS``."""
        return [self.measured, self.goal, self.seen, {None: NOTHING, True: "yes", False: "no"}[self.reached]]


def selftest_rows(result: Selftest) -> list[Row]:
    """The table of a selftest."""
    clean, alarms, exact = result.whole_alarms, result.alarms, result.exact
    rows = [
        Row(
            "whole runs of a commit against itself with a false regression",
            f"0 of at least {FEWEST_RUNS}",
            share_text(clean),
            clean.count == 0 if clean.tries >= FEWEST_RUNS or clean.count else None,
            "no false alarm in whole runs",
        ),
        Row(
            "the same, in gates dealt out of the blocks of these runs (conditional on them)",
            f"at most {percent(FALSE_ALARMS_GOAL)}",
            share_text(alarms),
            alarms.share <= FALSE_ALARMS_GOAL if alarms.tries else None,
            f"false alarms in at most {percent(FALSE_ALARMS_GOAL)} of gates dealt out",
        ),
    ]
    for slowdown in SLOWDOWNS:
        rows += _power_rows(result, slowdown)
    rows.append(
        Row(
            "an exact integer raised by one",
            "100 %",
            share_text(exact),
            exact.share == 1.0 if exact.tries else None,
            "every exact integer that rises by one is found",
        )
    )
    rows.append(_time_row([run for run in result.runs if not run.slowdown]))
    void = sum(run.void is not None for run in result.runs)
    dealt = (
        f"; of gates dealt out {whole(result.void.count)} of {whole(result.void.tries)}" if result.void.tries else ""
    )
    rows.append(Row("void runs", NOTHING, f"{void} of {len(result.runs)}{dealt}", None))
    return rows


def run_cells(run: WholeRun) -> list[str]:
    """A whole run's words under ``RUN_HEADINGS``."""
    return [
        run.name,
        run.started_at.removesuffix("+00:00").replace("T", " "),
        percent(run.slowdown) if run.slowdown else NOTHING,
        f"{run.decided} of {run.cases}",
        f"{run.found} of {run.slowed}" if run.slowed else NOTHING,
        str(run.false),
        str(run.improved),
        str(run.blocks),
        seconds(run.took_s),
        percent(run.spread, 2),
        run.void or NOTHING,
    ]


def share_text(proportion: Proportion) -> str:
    """``3 of 10, 30 % [6.67 %, 65.2 %]``; the interval is exact."""
    if not proportion.tries:
        return NOT_MEASURED
    low, high = proportion.interval
    share = f"{whole(proportion.count)} of {whole(proportion.tries)}"
    return f"{share}, {percent(proportion.share)} [{percent(low)}, {percent(high)}]"


def percent(share: float, digits: int = 3) -> str:
    """A share in percent: ``0.368 %``."""
    return f"{100.0 * share:.{digits}g} %"


def _power_rows(result: Selftest, slowdown: float) -> list[Row]:
    goal = POWER_GOALS.get(slowdown)
    to_reach = "stated" if goal is None else f"at least {percent(goal)}"
    rows = []
    point = next((point for point in result.curve if point.slowdown == slowdown), None)
    if point is not None or goal is not None:
        reached = point.found.share >= goal if point and goal is not None and point.found.tries else None
        words = f"one case slower by {percent(slowdown)}: recorded samples scaled, in gates dealt out (conditional)"
        name = None if goal is None else f"{percent(goal)} of slowdowns of {percent(slowdown)} found"
        rows.append(Row(words, to_reach, _curve_text(point), reached, name))
    found = result.whole_found(slowdown)
    if found.tries:
        words = f"every other case slower by {percent(slowdown)}: inside the timed call, in whole runs"
        rows.append(Row(words, to_reach, share_text(found), None))
    return rows


def _curve_text(point: CurvePoint | None) -> str:
    if point is None or not point.found.tries:
        return NOT_MEASURED
    return f"{share_text(point.found)}; {point.blocks:.0f} blocks"


def _time_row(runs: Sequence[WholeRun]) -> Row:
    name, goal, short = "time of a whole gate, environments apart", "10 min at 1 % spread, 30 min at 3 %", "in time"
    told = [run for run in runs if run.void is None]
    if not told:
        return Row(name, goal, NOT_MEASURED, None, short)
    took_s, spread = [run.took_s for run in told], median(run.spread for run in told)
    seen = (
        f"{seconds(median(took_s))} ({seconds(min(took_s))} to {seconds(max(took_s))}), "
        f"{median(run.blocks for run in told):.0f} blocks, at a spread of {percent(spread, 2)}"
    )
    limit_s = 600 if spread <= 0.01 else 1800
    return Row(name, goal, seen, max(took_s) <= limit_s if spread <= 0.03 else None, short)
