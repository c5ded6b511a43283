"""Memory over depth: what a layer holds, and what one call takes on top."""

from typing import TYPE_CHECKING

from capratio.report.figures.canvas import (
    depth_axis,
    draw_level,
    draw_series,
    first_column,
    legend,
    log_axis,
    panels,
    paper,
)
from capratio.report.figures.evidence import Drawing, Evidence
from capratio.report.figures.slices import depth_line, words

if TYPE_CHECKING:
    import pandas as pd

# The named number → what its panel is called; numbers are never mixed in one panel.
PANELS = {
    "state_bytes": "parameters and buffers",
    "allocated_peak_bytes": "allocated, peak of a call",
    "resident_peak_bytes": "resident, peak",
    "device_used_peak_bytes": "used on the device, peak",
}


def select(evidence: Evidence) -> "pd.DataFrame":
    """The longest depth line with memory numbers: a batch forward if there is one, as its temporaries are larger."""
    frame = evidence.frame
    known = frame[frame["state_bytes"].notna() & (frame["pass"] != "train")]
    return max((depth_line(known[known["tokens"] > 1]), depth_line(known)), key=len)


def draw(evidence: Evidence) -> Drawing | None:
    """One panel a memory number, bytes by powers of two."""
    rows = select(evidence)
    if rows.empty:
        return None
    looks = evidence.looks(rows)
    shown = [name for name in PANELS if (rows[name].fillna(0) > 0).any()]
    with paper():
        figure, axes = panels(len(shown))
        for ax, name in zip(axes, shown, strict=True):
            part = rows[rows[name].fillna(0) > 0]
            dense = part[part["series"] == "dense"]
            if len(dense):
                draw_level(ax, float(dense[name].iloc[0]), looks["dense"])
            draw_series(ax, part, "depth", name, looks)
            ax.set_title(PANELS[name])
            depth_axis(ax)
            log_axis(ax, "y", "memory", "B", list(part[name]))
            if not first_column(ax):
                ax.set_ylabel("")
        legend(figure, looks)
    return Drawing(
        figure,
        "Allocated is over the start of the call, resident is over the process before the layer was built; "
        f"{words(rows)}.",
    )
