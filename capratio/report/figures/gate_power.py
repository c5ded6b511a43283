"""What share of slowdowns a gate finds, over their size, and how often it alarms without one."""

from collections.abc import Sequence

import pandas as pd

from capratio.gate.proportion import Proportion
from capratio.gate.selftest import SLOWDOWNS, Selftest
from capratio.gate.selftest_table import FALSE_ALARMS_GOAL, POWER_GOALS
from capratio.report.figures.canvas import draw_series, panels, paper, row_legend
from capratio.report.figures.evidence import Drawing
from capratio.report.palette import INK, MUTED, OURS, PEERS, Look

TITLE = "Power and false alarms"
QUESTION = "How large must a slowdown be for the gate to find it, and how often does it alarm without one?"
DEALT, WHOLE, GOAL = "gates dealt out", "whole runs", "goal"
LOOKS = {
    DEALT: Look(OURS, "o", "solid", False),
    WHOLE: Look(PEERS[0], "D", "solid", True),
    GOAL: Look(INK, "_", "solid", True, 3.5),
}
# Percent by which whole runs stand beside the gates dealt out, lest their intervals cover one another.
ASIDE = 0.22
COLUMNS = ["series", "slowdown", "found", "low", "high"]


def select(result: Selftest) -> pd.DataFrame:
    """A row a series and slowdown, in percent: ``found`` of the tries with its exact interval; at 0, false alarms."""
    rows = _rows(DEALT, [(0.0, result.alarms), *((point.slowdown, point.found) for point in result.curve)])
    rows += _rows(WHOLE, [(0.0, result.whole_alarms), *((each, result.whole_found(each)) for each in SLOWDOWNS[::-1])])
    goals = {0.0: FALSE_ALARMS_GOAL} | dict(sorted(POWER_GOALS.items()))
    rows += [(GOAL, 100 * slowdown, 100 * goal, None, None) for slowdown, goal in goals.items()]
    return pd.DataFrame(rows, columns=COLUMNS).astype({"low": float, "high": float})


def draw(result: Selftest, budget: float) -> Drawing | None:
    """One panel; the line joins what is found, and false alarms stand apart from it. None where nothing was measured.

    budget: of a latency, a share.
    """
    rows = select(result)
    if not {DEALT, WHOLE} & set(rows["series"]):
        return None
    looks = {name: look for name, look in LOOKS.items() if name in set(rows["series"])}
    aside = rows["slowdown"].where(rows["series"] != WHOLE, rows["slowdown"] + ASIDE)
    rows = rows.assign(slowdown=aside)
    joined = (rows["series"] == DEALT) & (rows["slowdown"] > 0)
    with paper():
        figure, axes = panels(1, height_in=3.7)
        ax = axes[0]
        ax.axvline(100 * budget, color=MUTED.light, linewidth=1.0, linestyle=(0.0, (2.0, 2.0)))
        ax.text(100 * budget - 0.1, 90, f"budget\n{100 * budget:.3g} %", color=MUTED.light, ha="right", fontsize=10)
        draw_series(ax, rows[joined], "slowdown", "found", looks, interval=("low", "high"))
        draw_series(ax, rows[~joined], "slowdown", "found", looks, interval=("low", "high"), line=False)
        ax.set_xlabel("slowdown of head (%), 0 without one")
        ax.set_ylabel("called regressed (%)")
        ax.set_xticks([0, *sorted({round(100 * each) for each in SLOWDOWNS}), 15])
        ax.set_yticks(range(0, 101, 20))
        ax.set_ylim(-4, 104)
        row_legend(figure, looks)
    return Drawing(
        figure,
        "Bars are exact 95 % intervals. At 0 %: gates in which any case was called regressed, of a commit against "
        "itself. Above: of gates dealt out, those that found the one case whose recorded samples were scaled, "
        "conditional on the blocks; of whole runs, cases that were slowed down inside the timed call, drawn a little "
        "to the right.",
    )


def _rows(series: str, points: Sequence[tuple[float, Proportion]]) -> list[tuple[object, ...]]:
    found: list[tuple[object, ...]] = []
    for slowdown, proportion in points:
        if proportion.tries:
            low, high = proportion.interval
            found.append((series, 100 * slowdown, 100 * proportion.share, 100 * low, 100 * high))
    return found
