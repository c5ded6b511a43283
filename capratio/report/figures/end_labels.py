"""Names of lines at the right of a panel, by the order in which the lines end, moved apart where they would overlap."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from matplotlib.lines import Line2D
from matplotlib.patches import ConnectionPatch
from matplotlib.transforms import ScaledTranslation, Transform

from capratio.report.figures.canvas import marker_style
from capratio.report.palette import Look

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_SIZE_PT = 8.5
_LINE_IN = 0.165
# Title, ticks and the label of the abscissa.
_AROUND_IN = 0.85
_LEAST_IN = 2.9
# Right of the panel, points: where a leader leaves its line's height, where it ends, marks, and names. Half the length
# of the piece of line under a mark.
_LEAVES, _LEADER, _MARK, _NAME, _PIECE = 3.0, 23.0, 35.0, 48.0, 10.0
# A leader from a line that ends farther left would cross the others.
_REACH = 0.5


def label_height_in(names: int) -> float:
    """The height of a panel beside which so many names have room, inches."""
    return max(_LEAST_IN, _AROUND_IN + _LINE_IN * names)


def label_ends(
    ax: "Axes", rows: "pd.DataFrame", x: str, y: str, looks: Mapping[str, Look], levels: Sequence[str] = ()
) -> None:
    """Name every series of ``rows`` (series, x, y) right of the panel, with mark and dashes, the highest end on top.

    A thin leader goes from a line's end to its name. levels: series that cross the whole panel. The axes' limits must
    be final.
    """
    ends = rows.sort_values(x).groupby("series", sort=False).last()
    to_panel = ax.transData + ax.transAxes.inverted()
    places = {str(name): to_panel.transform((end[x], end[y])) for name, end in ends.iterrows()}
    names = sorted(places, key=lambda name: float(places[name][1]))
    gap = _LINE_IN / (label_height_in(len(names)) - _AROUND_IN)
    heights = _apart([float(places[name][1]) for name in names], gap)
    for name, height in zip(names, heights, strict=True):
        end_x, end_y = (1.0, places[name][1]) if name in levels else places[name]
        if end_x > _REACH:
            for start, to in (
                ((end_x, end_y, 0.0), (1.0, end_y, _LEAVES)),
                ((1.0, end_y, _LEAVES), (1.0, height, _LEADER)),
            ):
                ax.add_artist(_leader(ax, start, to, looks[name]))
        piece = (1.0, height, _MARK - _PIECE), (1.0, height, _MARK + _PIECE)
        ax.add_artist(_leader(ax, *piece, looks[name], linewidth=1.2, linestyle=looks[name].dashes, alpha=1.0))
        mark = Line2D([1.0], [height], transform=_beside(ax, _MARK), clip_on=False, **marker_style(looks[name]))
        ax.add_artist(mark)
        ax.text(1.0, height, name, transform=_beside(ax, _NAME), va="center_baseline", size=_SIZE_PT)


def _leader(
    ax: "Axes", start: tuple[float, float, float], to: tuple[float, float, float], look: Look, **style: Any
) -> ConnectionPatch:
    """A line, thin but for ``style``, between two places: fractions of the panel, and points to the right of it."""
    return ConnectionPatch(
        start[:2],
        to[:2],
        _beside(ax, start[2]),
        _beside(ax, to[2]),
        color=look.tone.light,
        zorder=1,
        clip_on=False,
        **({"linewidth": 0.6, "alpha": 0.7} | style),
    )


def _beside(ax: "Axes", points: float) -> Transform:
    return ax.transAxes + ScaledTranslation(points / 72, 0, ax.figure.dpi_scale_trans)


def _apart(wanted: Sequence[float], gap: float) -> list[float]:
    """Places in the order of ``wanted`` (ascending), at least ``gap`` apart, between 0 and 1 where they fit."""
    placed: list[float] = []
    for place in wanted:
        placed.append(max(place, placed[-1] + gap) if placed else max(place, 0.0))
    # What was pushed over the top goes down again, and pushes what is below it.
    limit = max(1.0, gap * (len(placed) - 1))
    for at in range(len(placed) - 1, -1, -1):
        placed[at] = min(placed[at], limit)
        limit = placed[at] - gap
    return placed
