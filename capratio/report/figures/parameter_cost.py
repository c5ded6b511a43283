"""Latency over parameters, one line a system, beside the dense layers of equal FLOP and of equal parameters."""

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from capratio.report.figures.canvas import draw_level, draw_series, first_column, log_axis, panels, paper, row_legend
from capratio.report.figures.evidence import Drawing
from capratio.report.palette import Look, looks_of
from capratio.report.parameter_cost import DENSE, CostLine

TITLE = "What a parameter costs"
QUESTION = (
    "What does a system's latency do while its parameters grow at equal active FLOP? A flat line gives parameters "
    "away; the dense layer pays for each of them. The level is the dense layer of equal FLOP."
)
# More panels are no figure any more; the table has all calls.
MOST_PANELS = 6


def select(lines: Sequence[CostLine]) -> dict[str, list[CostLine]]:
    """Call → its lines; the calls with the most lines first."""
    calls: dict[str, list[CostLine]] = {}
    for line in lines:
        calls.setdefault(line.call, []).append(line)
    order = sorted(calls, key=lambda call: -len(calls[call]))[:MOST_PANELS]
    return {call: lines for call, lines in calls.items() if call in order}


def line_looks(lines: Sequence[CostLine]) -> dict[str, Look]:
    """The look of each line by its name: its layer's, and of further lines of the layer hollow, then dotted."""
    layers = looks_of([(line.layer, "path") for line in lines])
    looks: dict[str, Look] = {}
    for layer, look in layers.items():
        names = list(dict.fromkeys(line.name for line in lines if line.layer == layer))
        for place, name in enumerate(names):
            dashes = look.dashes if place < 2 else (0.0, (1.0, 1.5))
            looks[name] = replace(look, hollow=place % 2 == 1, dashes=dashes)
    return looks


def draw(lines: Sequence[CostLine]) -> Drawing | None:
    """One panel a kind of call, both axes logarithmic."""
    chosen = select(lines)
    if not chosen:
        return None
    looks = line_looks([line for each in chosen.values() for line in each])
    with paper():
        figure, axes = panels(len(chosen), most_columns=2, height_in=3.4)
        for ax, (call, own) in zip(axes, chosen.items(), strict=True):
            rows = _frame(own)
            for line in own:
                if line.layer == DENSE and len(line.points) == 1:
                    draw_level(ax, line.largest.median_s, looks[line.name])
            draw_series(ax, rows, "parameters", "latency_s", looks)
            ax.set_title(call)
            log_axis(ax, "x", "parameters", "", list(rows["parameters"]))
            log_axis(ax, "y", "latency", "s", list(rows["latency_s"]))
            if not first_column(ax):
                ax.set_ylabel("")
        row_legend(figure, looks, line=True)
    return Drawing(
        figure, "Median over processes; a line is one group of cases, whose parameters grow from left to right."
    )


def _frame(lines: Sequence[CostLine]) -> pd.DataFrame:
    rows = [(line.name, point.parameters, point.median_s) for line in lines for point in line.points]
    return pd.DataFrame(rows, columns=["series", "parameters", "latency_s"])
