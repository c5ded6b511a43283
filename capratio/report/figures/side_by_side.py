"""How far ours and each peer are from the limit, over the tokens that a leaf holds."""

from collections.abc import Sequence

import pandas as pd

from capratio.report.figures.canvas import draw_series, first_column, log_axis, panels, paper, row_legend, share_limits
from capratio.report.figures.evidence import Drawing
from capratio.report.palette import INK, backend_looks
from capratio.report.side_by_side import ComparedPoint

TITLE = "Latency over the limit, ours and each peer"
QUESTION = (
    "Does any peer come closer to the machine's limit, and where: at few tokens a leaf or at many? 1 is the limit."
)
# More panels are no figure any more; the table has all.
MOST_PANELS = 6
# Marks of a call; beyond, every second or third point is drawn, spread over the tokens a leaf.
MOST_MARKS = 600


def select(points: Sequence[ComparedPoint]) -> dict[str, pd.DataFrame]:
    """Series and call → a row a backend and point, with ``series`` (the backend), ``tokens_a_leaf``, ``times_limit``.

    Points of depth 0, whose product is the dense layer's, are left out; most rows first.
    """
    rows: dict[str, list[tuple[str, float, float]]] = {}
    for point in points:
        if point.depth and point.tokens_a_leaf is not None:
            own = rows.setdefault(f"{point.series}: {point.call}", [])
            own += [(name, point.tokens_a_leaf, times) for name, times in sorted(point.times_limit.items())]
    columns = ["series", "tokens_a_leaf", "times_limit"]
    kept = sorted(rows.items(), key=lambda item: -len(item[1]))[:MOST_PANELS]
    return {name: pd.DataFrame(own, columns=columns) for name, own in kept if own}


def draw(points: Sequence[ComparedPoint]) -> Drawing | None:
    """One panel a layer and call, one mark a backend and point, both axes logarithmic."""
    chosen = {name: _thinned(rows) for name, rows in select(points).items()}
    if not chosen:
        return None
    every = pd.concat(chosen.values())
    looks = backend_looks(list(every["series"].unique()))
    with paper():
        figure, axes = panels(len(chosen), most_columns=2)
        for ax, (name, rows) in zip(axes, chosen.items(), strict=True):
            # Ours comes last, upon the peers that it equals.
            draw_series(ax, rows, "tokens_a_leaf", "times_limit", dict(reversed(looks.items())), line=False)
            ax.axhline(1.0, color=INK.light, linewidth=0.9)
            ax.set_title(name)
            log_axis(ax, "x", "tokens a leaf", "", list(rows["tokens_a_leaf"]))
            log_axis(ax, "y", "latency / limit", "", [1.0, *every["times_limit"]])
            if not first_column(ax):
                ax.set_ylabel("")
        share_limits(axes)
        row_legend(figure, looks)
    return Drawing(
        figure,
        "A mark is the median over processes of one point; points of all sizes and depths share a panel. auto is ours, "
        "reference the loop of products over the visited leaves.",
    )


def _thinned(rows: pd.DataFrame) -> pd.DataFrame:
    step = -(-len(rows) // MOST_MARKS)
    return rows.sort_values(["series", "tokens_a_leaf"]).iloc[::step]
