"""Counted FLOP of a token over depth, stacked by what they are for, one panel a layer and form."""

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.artist import Artist
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from capratio.report.figures.canvas import depth_axis, first_column, linear_axis, panels, paper, share_limits
from capratio.report.figures.evidence import Drawing, Evidence
from capratio.report.figures.slices import depth_line, words
from capratio.report.palette import INK

if TYPE_CHECKING:
    import pandas as pd

# Class of FLOP → opacity of the layer's colour in its part of the stack; these lie far enough apart to be read in grey.
CLASSES = {"product": 0.25, "overhead": 1.0, "gating": 0.6, "bias": 0.4, "padded": 0.1}


def select(evidence: Evidence) -> "pd.DataFrame":
    """The longest depth line of single tokens, else of a batch, not training: counted FLOP by class, a token."""
    frame = evidence.frame
    counted = frame[frame["flop_product"].notna() & (frame["pass"] != "train")]
    rows = depth_line(counted[counted["tokens"] == 1])
    if rows.empty:
        rows = depth_line(counted)
    return rows.assign(**{name: rows[f"flop_{name}"].astype(float) / rows["tokens"] for name in CLASSES})


def draw(evidence: Evidence) -> Drawing | None:
    """Stacked bars of counted FLOP a token, the dense layer's total as a line through every panel."""
    rows = select(evidence)
    looks = evidence.looks(rows)
    names = [name for name in looks if name != "dense"]
    if not names:
        return None
    classes = [name for name in CLASSES if (rows[name] > 0).any()]
    dense = rows.loc[rows["series"] == "dense", list(CLASSES)].sum(axis=1)
    totals = rows[list(CLASSES)].sum(axis=1)
    with paper():
        figure, axes = panels(len(names), height_in=2.35)
        for ax, name in zip(axes, names, strict=True):
            part = rows[rows["series"] == name].sort_values("depth")
            floor, edges = np.zeros(len(part)), _edges(part["depth"].to_numpy(dtype=float))
            for kind in classes:
                top = floor + part[kind].to_numpy()
                ax.stairs(
                    top,
                    edges,
                    baseline=floor,
                    fill=True,
                    color=looks[name].tone.light,
                    alpha=CLASSES[kind],
                    linewidth=0,
                )
                floor = top
            if len(dense):
                ax.axhline(
                    float(dense.iloc[0]),
                    color=looks["dense"].tone.light,
                    linestyle=looks["dense"].dashes,
                    linewidth=1.1,
                )
            ax.grid(visible=False, axis="x")
            ax.set_title(name)
            depth_axis(ax)
            linear_axis(ax, "y", "FLOP a token", "FLOP", list(totals))
            if not first_column(ax):
                ax.set_ylabel("")
        share_limits(axes)
        handles: list[Artist] = [
            Patch(facecolor=INK.light, alpha=CLASSES[kind], linewidth=0, label=kind) for kind in classes
        ]
        if len(dense):
            dense_look = looks["dense"]
            handles += [Line2D([], [], color=dense_look.tone.light, linestyle=dense_look.dashes, label="dense, total")]
        figure.legend(handles=handles, loc="outside upper left", ncols=5, handlelength=2.2, columnspacing=1.6)
    return Drawing(figure, f"Executed FLOP, counted while the case ran, by class; {words(rows)}.")


def _edges(depths: "np.ndarray") -> "np.ndarray":
    """Borders of the steps: half way between depths, and at both ends half the least distance farther out."""
    if len(depths) == 1:
        return np.array([depths[0] - 0.5, depths[0] + 0.5])
    middle = (depths[:-1] + depths[1:]) / 2
    beyond = np.diff(depths).min() / 2
    return np.concatenate([[depths[0] - beyond], middle, [depths[-1] + beyond]])
