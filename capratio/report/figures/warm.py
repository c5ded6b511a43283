"""Warm latency of a token over depth, with the depths marked at which leaves stop fitting a cache level."""

from typing import TYPE_CHECKING

from capratio.report.figures.canvas import depth_axis, draw_level, draw_series, legend, log_axis, panels, paper
from capratio.report.figures.evidence import Drawing, Evidence
from capratio.report.figures.slices import depth_line, words
from capratio.report.palette import MUTED

if TYPE_CHECKING:
    import pandas as pd

CLAIM = "warm-latency-over-depth"


def select(evidence: Evidence) -> "pd.DataFrame":
    """The longest depth line of single tokens on warm caches."""
    frame = evidence.frame
    warm = (frame["tokens"] == 1) & (frame["cache"] == "warm") & (frame["pass"] != "train")
    return depth_line(frame[warm & frame["latency_s"].notna()])


def breaks(evidence: Evidence) -> list[tuple[float, str]]:
    """(depth, what is left there) of every break that the verdicts found, each named once."""
    found = [(float(b.at), str(b.name)) for v in evidence.verdicts if v.claim == CLAIM for b in v.breaks]
    return sorted(set(found))


def draw(evidence: Evidence) -> Drawing | None:
    """Latency over depth on a logarithmic ordinate; dotted lines are the breaks, named at their top."""
    rows = select(evidence)
    if rows.empty:
        return None
    looks = evidence.looks(rows)
    with paper():
        figure, (ax,) = panels(1, height_in=3.6)
        dense = rows[rows["series"] == "dense"]
        if len(dense):
            draw_level(ax, float(dense["latency_s"].iloc[0]), looks["dense"])
        draw_series(ax, rows, "depth", "latency_s", looks, interval=("latency_low_s", "latency_high_s"))
        depth_axis(ax)
        log_axis(ax, "y", "latency", "s", [*rows["latency_low_s"].dropna(), *rows["latency_high_s"].dropna()])
        for number, (at, name) in enumerate(breaks(evidence)):
            ax.axvline(at, color=MUTED.light, linestyle=(0.0, (1.0, 1.8)), linewidth=1.4, zorder=1)
            ax.annotate(
                name,
                (at, 1.0),
                xycoords=("data", "axes fraction"),
                xytext=(4, -3 - 12 * (number % 3)),
                textcoords="offset points",
                va="top",
                size=9,
            )
        legend(figure, looks)
    return Drawing(figure, f"Caches bend the line of a layer that does no more work; {words(rows)}.")
