"""What all figures share: paper, panels, how a series is drawn, legends and axes in one scaled unit."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from capratio.report.palette import INK, MUTED, PAGE, RULE, Look
from capratio.report.quantities import axis_scale, scale
from capratio.units import whole

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

# 7.5 in are 720 CSS pixels, the width of the page's column; 10.5 pt stay readable when the figure is shown at half
# size.
WIDTH_IN = 7.5
# The whole page, of figures whose lines are named beside the panels.
WIDE_IN = 11.1
_HANDLE_EM = 2.4
# Names of a legend's row that fit the page's width.
_MOST_COLUMNS = 3
# Letters of a name in a legend of three columns; the tables say longer ones in full.
_LONGEST_NAME = 30
_RC: dict[Any, Any] = {
    "axes.edgecolor": MUTED.light,
    "axes.formatter.use_mathtext": False,
    "axes.grid": True,
    "axes.grid.which": "major",
    "axes.labelcolor": INK.light,
    "axes.labelsize": 10.5,
    "axes.linewidth": 0.8,
    "axes.titlelocation": "left",
    "axes.titlesize": 10.5,
    "axes.titleweight": "regular",
    "axes.titlecolor": INK.light,
    "axes.titlepad": 8.0,
    "axes.axisbelow": True,
    "figure.facecolor": PAGE.light,
    "axes.facecolor": "none",
    "font.family": ["DejaVu Sans"],
    "font.size": 10.5,
    "grid.color": RULE.light,
    "grid.linewidth": 0.7,
    "hatch.linewidth": 0.8,
    "legend.fontsize": 10.0,
    "legend.frameon": False,
    "lines.linewidth": 1.5,
    "lines.markersize": 5.0,
    "svg.fonttype": "none",
    "svg.hashsalt": "capratio",
    "text.color": INK.light,
    "text.parse_math": False,
    "xtick.color": MUTED.light,
    "xtick.labelcolor": INK.light,
    "xtick.labelsize": 10.0,
    "xtick.major.size": 3.0,
    "xtick.minor.size": 0.0,
    "ytick.color": MUTED.light,
    "ytick.labelcolor": INK.light,
    "ytick.labelsize": 10.0,
    "ytick.major.size": 0.0,
    "ytick.minor.size": 0.0,
}


@contextmanager
def paper() -> Iterator[None]:
    """The style of every figure, set for the block and taken back after it."""
    with sns.axes_style("ticks"), mpl.rc_context(_RC):
        yield


def panels(
    count: int, most_columns: int = 3, height_in: float = 2.9, width_in: float = WIDTH_IN
) -> tuple[Figure, list["Axes"]]:
    """A figure of ``count`` panels, filled row by row, and its axes: two a row, or three where that leaves no gap."""
    columns = min(count, most_columns, 3 if count % 3 == 0 else 2)
    rows = -(-count // columns)
    figure = Figure(figsize=(width_in, height_in * rows), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    axes = [grid[index // columns][index % columns] for index in range(rows * columns)]
    for spare in axes[count:]:
        spare.set_visible(False)
    for ax in axes[:count]:
        sns.despine(ax=ax, left=True)
    return figure, axes[:count]


def draw_series(
    ax: "Axes",
    rows: "pd.DataFrame",
    x: str,
    y: str,
    looks: Mapping[str, Look],
    *,
    interval: tuple[str, str] | None = None,
    line: bool = True,
) -> None:
    """Draw ``y`` over ``x`` for every series of ``rows``, with the interval's two columns as a bar if given."""
    for name, look in looks.items():
        part = rows[rows["series"] == name].dropna(subset=[x, y]).sort_values(x)
        if part.empty:
            continue
        if interval is not None:
            low, high = (part[column].fillna(part[y]) for column in interval)
            # One broken line for all bars: a path each would double the size of the figure.
            gap = np.full(len(part), np.nan)
            bars = np.column_stack([low, high, gap]).ravel()
            ax.plot(np.repeat(part[x].to_numpy(), 3), bars, color=look.tone.light, linewidth=1.0, alpha=0.6)
        sns.lineplot(
            data=part,
            x=x,
            y=y,
            ax=ax,
            estimator=None,
            errorbar=None,
            legend=False,
            **_line_style(look, line),
        )


def draw_level(ax: "Axes", value: float, look: Look) -> None:
    """Draw the dense layer, which has no depth, as a level across the panel."""
    ax.axhline(value, color=look.tone.light, linestyle=look.dashes, linewidth=1.2, zorder=1.5)


def legend(figure: Figure, looks: Mapping[str, Look], *, line: bool = True, extra: Sequence[Line2D] = ()) -> None:
    """One legend above all panels, in the table's order."""
    first: list[Line2D | str] = [*(name for name in looks if name == "dense"), *extra]
    paths = [name for name, look in looks.items() if name != "dense" and not look.hollow]
    collapsed = [name for name, look in looks.items() if look.hollow]
    pairs = dict.fromkeys(name.partition(",")[0] for name in [*paths, *collapsed])
    if len(pairs) == len(paths) + len(collapsed):
        _legend_rows(figure, [_handle(entry, looks, line) for entry in [*first, *paths, *collapsed]], _HANDLE_EM)
        return
    # Rows are layers and columns are forms, so the two forms of a layer stand beside each other.
    second = [name if name in paths else None for name in pairs]
    third = [next((other for other in collapsed if other.partition(",")[0] == name), None) for name in pairs]
    columns = [column for column in (first, second, third) if any(column)]
    rows = max(map(len, columns))
    entries = [entry for column in columns for entry in [*column, *[None] * (rows - len(column))]]
    handles = [_handle(entry, looks, line) for entry in entries]
    figure.legend(
        handles=handles, loc="outside upper left", ncols=len(columns), handlelength=_HANDLE_EM, columnspacing=1.6
    )


def row_legend(figure: Figure, looks: Mapping[str, Look], *, line: bool = False) -> None:
    """One legend of marks (and lines) in rows above all panels, for series that have no forms."""
    _legend_rows(figure, [_handle(name, looks, line) for name in looks], _HANDLE_EM if line else 1.0)


def first_column(ax: "Axes") -> bool:
    """Whether a panel stands at the left, where the ordinate's label is."""
    place = ax.get_subplotspec()
    return place is not None and place.is_first_col()


def depth_axis(ax: "Axes") -> None:
    """The abscissa k in whole numbers."""
    ax.set_xlabel("depth k (gating bits)")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=7))


def log_axis(ax: "Axes", which: str, label: str, unit: str, values: Sequence[float]) -> None:
    """A logarithmic axis whose ticks are plain numbers in one unit, named in its label; bytes go by powers of two."""
    positive = [float(value) for value in values if value > 0]
    binary = unit == "B"
    axis = ax.xaxis if which == "x" else ax.yaxis
    (ax.set_xscale if which == "x" else ax.set_yscale)("log", base=2 if binary else 10)
    if binary or unit == "":
        # These span many prefixes, so each tick brings its own.
        named = label if unit == "" else f"{label} (bytes)"
        axis.set_major_formatter(FuncFormatter(lambda value, _: _prefixed(value, unit)))
    else:
        factor, scaled = axis_scale(positive, unit)
        named = f"{label} ({scaled})"
        axis.set_major_formatter(FuncFormatter(lambda value, _: _tick(value / factor)))
    (ax.set_xlabel if which == "x" else ax.set_ylabel)(named)
    _log_ticks(axis, positive, 2 if binary else 10, which)


def linear_axis(ax: "Axes", which: str, label: str, unit: str, values: Sequence[float]) -> None:
    """A linear axis whose ticks are numbers in one scaled unit, named in its label."""
    largest = max((abs(float(value)) for value in values), default=0.0)
    # Sizes are read as they are named in cases; only counts of many digits are scaled.
    factor, scaled = scale(largest, unit) if unit or largest >= 1e5 else (1.0, "")
    named = f"{label} ({scaled})" if scaled else label
    (ax.set_xlabel if which == "x" else ax.set_ylabel)(named)
    axis = ax.xaxis if which == "x" else ax.yaxis
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value / factor:g}"))


def share_limits(axes: Sequence["Axes"]) -> None:
    """Give panels of one quantity the same ordinate, so that they compare by eye."""
    low = min(ax.get_ylim()[0] for ax in axes)
    high = max(ax.get_ylim()[1] for ax in axes)
    for ax in axes:
        ax.set_ylim(low, high)


def _legend_rows(figure: Figure, handles: Sequence[Line2D], length_em: float) -> None:
    if handles:
        columns = min(len(handles), _MOST_COLUMNS)
        figure.legend(
            handles=handles, loc="outside upper left", ncols=columns, handlelength=length_em, columnspacing=1.6
        )


def _line_style(look: Look, line: bool) -> dict[str, Any]:
    return {
        "color": look.tone.light,
        "linestyle": look.dashes if line else "none",
        "linewidth": mpl.rcParams["lines.linewidth"] * look.weight,
        **marker_style(look),
    }


def marker_style(look: Look) -> dict[str, Any]:
    """A series' mark as keywords of a line."""
    return {
        "marker": look.marker,
        "markersize": mpl.rcParams["lines.markersize"] * look.weight**0.75,
        "markerfacecolor": PAGE.light if look.hollow else look.tone.light,
        "markeredgecolor": look.tone.light,
        "markeredgewidth": 1.2 if look.hollow else 0.0,
    }


def _handle(entry: Line2D | str | None, looks: Mapping[str, Look], line: bool) -> Line2D:
    if entry is None:
        return Line2D([], [], label=" ", linestyle="none")
    if isinstance(entry, Line2D):
        return entry
    name = entry if len(entry) <= _LONGEST_NAME else f"{entry[: _LONGEST_NAME // 2]}…{entry[-_LONGEST_NAME // 2 :]}"
    return Line2D([], [], label=name, **_line_style(looks[entry], line))


def _prefixed(value: float, unit: str) -> str:
    # A tick of 2^30 is computed through logarithms and may lie a rounding below it.
    if unit == "" and value < 1:
        # A ratio under 1 is read as it is; thousandths are no unit of it.
        return f"{value:.2g}"
    factor, scaled = scale(value * (1 + 1e-9), unit)
    return f"{_tick(value / factor)} {scaled}".rstrip()


def _tick(value: float) -> str:
    return whole(round(value)) if value >= 100 else f"{value:.2g}"


def _log_ticks(axis: "mpl.axis.Axis", positive: Sequence[float], base: int, which: str) -> None:
    span = np.log(max(positive) / min(positive)) / np.log(base) if positive else 0.0
    # Under so many decades powers of ten leave an axis with a tick or two. On an abscissa words stand side by side.
    few, between = (2.0, (1.0, 3.0)) if which == "x" else (2.9, (1.0, 2.0, 5.0))
    subs = (1.0,) if base == 2 or span >= few else between if span > 0.8 else (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0)
    axis.set_major_locator(LogLocator(base=base, subs=subs, numticks=4 if base == 2 and which == "x" else 6))
    axis.set_minor_locator(NullLocator())
