"""Capacity ratio over depth against the paper's 2^k/k: weight parameters per FLOP, dense layer = 1."""

from typing import TYPE_CHECKING

from matplotlib.lines import Line2D

from capratio.report.figures.canvas import depth_axis, draw_series, legend, log_axis, panels, paper
from capratio.report.figures.evidence import Drawing, Evidence
from capratio.report.figures.slices import SETTING, longest_line, words
from capratio.report.palette import MUTED

if TYPE_CHECKING:
    import pandas as pd


def select(evidence: Evidence) -> "pd.DataFrame":
    """The longest depth line that has a capacity ratio, and the promise 2^k/k beside it (none at k = 0)."""
    frame = evidence.frame
    # The ratio is a property of the layer, whatever the call: tokens, pass, cache and input are free.
    rows = frame[frame["capacity_ratio"].notna()].drop_duplicates(
        ["series", "in_features", "out_features", "depth", "gate"]
    )
    line = longest_line(rows, "depth", ("in_features", "out_features"))
    # Systems without a depth would be points at 0.
    line = line[(line["layer"] == "dense") | (line.groupby("series")["depth"].transform("nunique") > 1)]
    return line.assign(promise=[2.0**depth / depth if depth else float("nan") for depth in line["depth"]])


def draw(evidence: Evidence) -> Drawing | None:
    """Capacity ratio of every layer and form, counted, over the depth; the promise is the dotted line."""
    rows = select(evidence)
    if rows.empty:
        return None
    looks = evidence.looks(rows)
    promise = rows[["depth", "promise"]].dropna().drop_duplicates().sort_values("depth")
    with paper():
        figure, (ax,) = panels(1, height_in=4.1)
        ax.plot(
            promise["depth"],
            promise["promise"],
            color=MUTED.light,
            linestyle=(0.0, (1.0, 1.8)),
            linewidth=1.8,
            zorder=1,
        )
        draw_series(ax, rows, "depth", "capacity_ratio", looks)
        depth_axis(ax)
        log_axis(ax, "y", "capacity ratio (dense layer = 1)", "", [*rows["capacity_ratio"], *promise["promise"]])
        line = Line2D([], [], color=MUTED.light, linestyle=(0.0, (1.0, 1.8)), linewidth=1.8, label="2ᵏ/k")
        legend(figure, looks, extra=[line])
    return Drawing(figure, f"Weight parameters per FLOP over those of the dense layer, {words(rows, SETTING[2:])}.")
