"""How far each layer is from the machine's limit, over the depth: latency over the roofline time."""

import pandas as pd

from capratio.report.figures.canvas import (
    depth_axis,
    draw_level,
    draw_series,
    first_column,
    legend,
    log_axis,
    panels,
    paper,
    share_limits,
)
from capratio.report.figures.evidence import Drawing, Evidence
from capratio.report.figures.slices import View, views, words
from capratio.report.palette import INK

_WARM_DECODE = (
    "A warm decode case is held against the bytes of one token, although its samples cycle through tokens of other "
    "leaves, so that its time over the limit holds the misses of those too."
)


def select(evidence: Evidence) -> list[View]:
    """Each kind of call's depth line where a limit is known, with ``times_limit`` = latency / limit, and interval."""
    found = []
    for view in views(evidence.frame):
        rows = view.rows[view.rows["limit_s"].notna()]
        if rows.empty:
            continue
        scaled = {
            name: rows[column] / rows["limit_s"]
            for name, column in (
                ("times_limit", "latency_s"),
                ("times_low", "latency_low_s"),
                ("times_high", "latency_high_s"),
            )
        }
        found.append(View(view.name, rows.assign(**scaled)))
    return found


def draw(evidence: Evidence) -> Drawing | None:
    """One panel a kind of call on one ordinate; 1 is the limit, the dense layer is a level."""
    chosen = select(evidence)
    if not chosen:
        return None
    every = pd.concat([view.rows for view in chosen])
    looks = evidence.looks(every)
    with paper():
        figure, axes = panels(len(chosen))
        for ax, view in zip(axes, chosen, strict=True):
            dense = view.rows[view.rows["series"] == "dense"]
            if len(dense):
                draw_level(ax, float(dense["times_limit"].iloc[0]), looks["dense"])
            draw_series(ax, view.rows, "depth", "times_limit", looks, interval=("times_low", "times_high"))
            ax.axhline(1.0, color=INK.light, linewidth=0.9)
            ax.set_title(view.name)
            depth_axis(ax)
            log_axis(ax, "y", "latency / limit", "", [1.0, *every["times_high"].dropna()])
            if not first_column(ax):
                ax.set_ylabel("")
        share_limits(axes)
        legend(figure, looks)
    caption = (
        "The limit is the larger of compulsory bytes over the measured bandwidth at their footprint, and FLOP over the "
        f"measured rate; {words(every, ('tokens', 'pass', 'cache'))}."
    )
    if ((every["pass"] == "decode") & (every["cache"] == "warm")).any():
        caption += f" {_WARM_DECODE}"
    return Drawing(figure, caption)
