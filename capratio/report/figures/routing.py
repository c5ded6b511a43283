"""Routing skew: distinct leaves that real input visits, against what uniform routing would."""

from typing import TYPE_CHECKING

import seaborn as sns
from matplotlib.lines import Line2D

from capratio.report.figures.canvas import depth_axis, log_axis, panels, paper
from capratio.report.figures.evidence import Drawing, Evidence
from capratio.report.figures.slices import words
from capratio.report.palette import INK, MUTED, PAGE

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

# At most so many batch sizes are drawn, spread over those measured; more lines would lie on each other.
_BATCHES = 4
_MARKERS = ("o", "s", "^", "D", "v", "P")
# A line of text on the ordinate from 0 to 1.
_LINE = 0.08


def select(evidence: Evidence) -> "pd.DataFrame":
    """One row a (layer, depth, tokens, input, routing) that visited leaves; layers that share bits count once."""
    frame = evidence.frame
    rows = frame[frame["visited_leaves"].notna() & (frame["depth"] > 0) & (frame["tokens"] > 1)]
    # The other layers with bits shared by all units visit the very same leaves.
    shared = [name for name in ("tree-shared", "tree-bias") if name in set(rows["layer"])][:1]
    rows = rows[rows["layer"].isin([*shared, "tree-unit"])]
    best = rows.groupby(["layer", "in_features"])["depth"].nunique()
    kept = [
        rows[(rows["layer"] == layer) & (rows["in_features"] == best[layer].idxmax())]
        for layer in dict.fromkeys(rows["layer"])
    ]
    if not kept:
        return rows
    import pandas as pd

    together: pd.DataFrame = pd.concat(kept)
    return together.drop_duplicates(["layer", "depth", "tokens", "input", "routing"]).sort_values(
        ["layer", "tokens", "depth"]
    )


def draw(evidence: Evidence) -> Drawing | None:
    """One panel a layer with batches labelled at their ends; one more compares routings where several were run."""
    rows = select(evidence)
    if rows.empty:
        return None
    natural = rows[rows["routing"] == "measured"]
    natural = natural if len(natural) else rows
    main_input = natural["input"].value_counts().sort_index().idxmax()
    natural = natural[natural["input"] == main_input]
    layers = list(dict.fromkeys(natural["layer"]))
    imposed = rows[(rows["layer"] == layers[0]) & (rows["input"] == main_input)]
    compare = imposed["routing"].nunique() > 1
    with paper():
        figure, axes = panels(len(layers) + compare, height_in=3.2)
        for ax, layer in zip(axes, layers, strict=False):
            _batches(ax, natural[natural["layer"] == layer], layer, evidence)
        if compare:
            _routings(axes[-1], imposed)
        handles = [
            Line2D([], [], color=INK.light, marker="o", label="visited"),
            Line2D(
                [],
                [],
                color=MUTED.light,
                linestyle=(0.0, (1.0, 1.8)),
                linewidth=1.6,
                label="expected under uniform routing",
            ),
        ]
        figure.legend(handles=handles, loc="outside upper left", ncols=2, handlelength=2.6)
    return Drawing(figure, f"{words(natural, ('pass', 'cache'))}; each line is a batch of N tokens.")


def _batches(ax: "Axes", rows: "pd.DataFrame", layer: str, evidence: Evidence) -> None:
    tone = next(look.tone.light for name, look in evidence.looks(rows).items() if name.startswith(layer))
    sizes = sorted(rows["tokens"].unique())
    longest = [size for size in sizes if (rows["tokens"] == size).sum() > 1] or sizes
    step = max(1, -(-len(longest) // _BATCHES))
    for size in longest[::-1][::step]:
        part = rows[rows["tokens"] == size].sort_values("depth")
        sns.lineplot(
            data=part,
            x="depth",
            y="expected_leaves",
            ax=ax,
            color=MUTED.light,
            linestyle=(0.0, (1.0, 1.8)),
            estimator=None,
            errorbar=None,
        )
        sns.lineplot(
            data=part,
            x="depth",
            y="visited_leaves",
            ax=ax,
            color=tone,
            marker="o",
            markeredgewidth=0,
            estimator=None,
            errorbar=None,
        )
        end = part.iloc[-1]
        ax.annotate(
            f"N = {size}",
            (end["depth"], end["visited_leaves"]),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            size=9,
        )
    ax.margins(x=0.16)
    ax.set_title(layer)
    depth_axis(ax)
    what = "distinct (unit, leaf) pairs" if layer == "tree-unit" else "distinct leaves"
    log_axis(ax, "y", what, "", [*rows["visited_leaves"], *rows["expected_leaves"]])


def apart(heights: dict[str, float], least: float) -> dict[str, float]:
    """Heights of labels, each at least ``least`` under the one above it."""
    placed: dict[str, float] = {}
    above = float("inf")
    for name, height in sorted(heights.items(), key=lambda item: -item[1]):
        above = min(height, above - least)
        placed[name] = above
    return placed


def _routings(ax: "Axes", rows: "pd.DataFrame") -> None:
    tokens = rows[rows["routing"] != "measured"]["tokens"].value_counts().sort_index().idxmax()
    part = rows[rows["tokens"] == tokens].assign(share=lambda r: r["visited_leaves"] / r["expected_leaves"])
    ends: dict[str, tuple[float, float]] = {}
    for marker, (name, line) in zip(_MARKERS, part.groupby("routing"), strict=False):
        sns.lineplot(
            data=line, x="depth", y="share", ax=ax, color=INK.light, marker=marker, markerfacecolor=PAGE.light,
            markeredgecolor=INK.light, markeredgewidth=1.0, linewidth=1.0, estimator=None, errorbar=None,
        )  # fmt: skip
        end = line.sort_values("depth").iloc[-1]
        ends[str(name)] = (float(end["depth"]), float(end["share"]))
    for name, height in apart({name: share for name, (_, share) in ends.items()}, _LINE).items():
        ax.annotate(name, (ends[name][0], height), xytext=(6, 0), textcoords="offset points", va="center", size=9)
    ax.axhline(1.0, color=MUTED.light, linestyle=(0.0, (1.0, 1.8)), linewidth=1.6)
    ax.margins(x=0.2)
    ax.set_title(f"routings, N = {tokens}")
    depth_axis(ax)
    ax.set_ylabel("visited / expected")
