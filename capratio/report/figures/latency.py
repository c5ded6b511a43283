"""Latency over parameters, log-log: what more weights cost in time, beside a dense layer that grows."""

import pandas as pd

from capratio.report.figures.canvas import draw_series, legend, log_axis, panels, paper
from capratio.report.figures.evidence import Drawing, Evidence
from capratio.report.figures.slices import View, views, width_line, words


def select(evidence: Evidence) -> list[View]:
    """A view for each kind of call: trees along their depth line, the dense layer along p = q in the same setting."""
    found = []
    for view in views(evidence.frame):
        measured = evidence.frame[evidence.frame["latency_s"].notna()]
        dense = width_line(measured[measured["layer"] == "dense"], view.rows)
        trees = view.rows[view.rows["layer"] != "dense"]
        found.append(View(view.name, pd.concat([dense, trees])))
    return found


def draw(evidence: Evidence) -> Drawing | None:
    """One panel a kind of call; bars are 95 % intervals over processes."""
    chosen = select(evidence)
    if not chosen:
        return None
    every = pd.concat([view.rows for view in chosen])
    looks = evidence.looks(every)
    with paper():
        figure, axes = panels(len(chosen))
        for ax, view in zip(axes, chosen, strict=True):
            draw_series(ax, view.rows, "parameters", "latency_s", looks, interval=("latency_low_s", "latency_high_s"))
            ax.set_title(view.name)
            log_axis(ax, "x", "parameters", "", list(view.rows["parameters"]))
            log_axis(
                ax, "y", "latency", "s", [*view.rows["latency_low_s"].dropna(), *view.rows["latency_high_s"].dropna()]
            )
        legend(figure, looks)
    trees = every[every["layer"] != "dense"]
    return Drawing(
        figure,
        "Median over processes of each process's median, with its interval. Trees: "
        f"{words(trees, ('tokens', 'pass', 'cache'))}, k grows along each line. Dense: p = q grows.",
    )
