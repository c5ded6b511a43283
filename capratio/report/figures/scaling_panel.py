"""Fitted laws as pictures: what was measured, the fit with its interval, and the slope from point to point."""

from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import fill
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from capratio.report.figures.canvas import depth_axis, linear_axis, log_axis, panels, paper
from capratio.report.figures.evidence import Drawing, Evidence
from capratio.report.palette import INK, MUTED, RULE, Tone

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from capratio.scaling.verdict import Verdict


@dataclass(frozen=True, slots=True)
class LawAxes:
    """How the points of a claim are drawn: abscissa, ordinate, its unit, and whether the law is an exponent or flat."""

    x: str
    y: str
    unit: str
    flat: bool = False


DEPTH = "depth k"
# The fitted claims that have a picture, in the order of the panels.
LAWS = {
    "path-latency-over-depth": LawAxes(DEPTH, "overhead latency", "s"),
    "collapsed-latency-flat-over-depth": LawAxes(DEPTH, "latency(k) / latency(0)", "", flat=True),
    "path-latency-over-in-features": LawAxes("in_features p", "overhead latency", "s"),
    "path-latency-over-out-features": LawAxes("out_features q", "overhead latency", "s"),
    "path-latency-over-overhead-flop": LawAxes("overhead FLOP", "overhead latency", "s"),
    "memory-over-parameters": LawAxes("parameters", "memory", "B"),
}
# More laws than these would make the figure longer than its table.
_MOST = 8


def select(evidence: Evidence) -> "list[Verdict]":
    """The fitted verdicts that have points to draw, in the order of ``LAWS``."""
    order = list(LAWS)
    drawn = [v for v in evidence.verdicts if v.kind == "fitted" and v.claim in LAWS and len(v.points) > 1]
    return sorted(drawn, key=lambda verdict: order.index(verdict.claim))[:_MOST]


def points_of(verdict: "Verdict") -> pd.DataFrame:
    """The points of a verdict as rows (x, y, low, high) with rising x."""
    rows = [(p.x, p.y, p.low, p.high) for p in verdict.points]
    return pd.DataFrame(rows, columns=["x", "y", "low", "high"], dtype=float).sort_values("x", ignore_index=True)


def local_slopes(points: pd.DataFrame) -> pd.DataFrame:
    """Slope of log y over log x between neighbours, at their geometric middle; what is not positive is left out."""
    kept = points[(points["x"] > 0) & (points["y"] > 0)]
    x, y = np.log(kept["x"].to_numpy()), np.log(kept["y"].to_numpy())
    return pd.DataFrame({"x": np.exp((x[1:] + x[:-1]) / 2), "slope": np.diff(y) / np.diff(x)})


def fitted_curve(points: pd.DataFrame, exponent: float, at: np.ndarray) -> np.ndarray:
    """c0 + a·x^b for a given b, through the points by weighted least squares (weight 1 / interval²)."""
    width = (points["high"] - points["low"]).to_numpy()
    # A point without an interval must not outweigh all others.
    known = width[width > 0]
    weight = 1.0 / np.where(width > 0, width, np.median(known) if len(known) else 1.0)
    design = np.column_stack([np.ones(len(points)), points["x"].to_numpy() ** exponent])
    solution, *_ = np.linalg.lstsq(design * weight[:, None], points["y"].to_numpy() * weight, rcond=None)
    return np.asarray(solution[0] + solution[1] * at**exponent)


def draw(evidence: Evidence) -> Drawing | None:
    """For an exponent two panels (points with fit; local slopes with the promise), for a flat law one."""
    chosen = select(evidence)
    if not chosen:
        return None
    flat = [verdict for verdict in chosen if LAWS[verdict.claim].flat]
    curved = [verdict for verdict in chosen if not LAWS[verdict.claim].flat]
    with paper():
        figure, axes = panels(2 * len(curved) + len(flat), height_in=2.5, most_columns=2)
        for index, verdict in enumerate(curved):
            left, right = axes[2 * index : 2 * index + 2]
            _points_and_fit(left, verdict, _tone(verdict, evidence))
            _slopes(right, verdict, _tone(verdict, evidence))
        for ax, verdict in zip(axes[2 * len(curved) :], flat, strict=True):
            _flat(ax, verdict, _tone(verdict, evidence))
    return Drawing(
        figure,
        "Bars are 95 % intervals over processes. Line and band: the fit with the exponent's estimate and with the "
        "ends of its interval. Right: slope between neighbouring points; the promised exponent ± margin is shaded.",
    )


def _tone(verdict: "Verdict", evidence: Evidence) -> Tone:
    """The colour of the layer that the verdict's group names; ink when it names none."""
    named = [
        (name, look) for name, look in evidence.looks(evidence.frame).items() if name.split(",")[0] in verdict.group
    ]
    return max(named, key=lambda item: len(item[0]))[1].tone if named else INK


def _points_and_fit(ax: "Axes", verdict: "Verdict", tone: Tone) -> None:
    law, points = LAWS[verdict.claim], points_of(verdict)
    # x^b has no value at 0 when an end of the interval is negative.
    fitted = points[points["x"] > 0]
    if verdict.estimate is not None and len(fitted) > 2:
        at = np.geomspace(fitted["x"].min(), fitted["x"].max(), 30)
        if verdict.low is not None and verdict.high is not None:
            ends = [fitted_curve(fitted, exponent, at) for exponent in (verdict.low, verdict.high)]
            ax.fill_between(at, np.minimum(*ends), np.maximum(*ends), color=tone.light, alpha=0.2, linewidth=0)
        ax.plot(at, fitted_curve(fitted, verdict.estimate, at), color=tone.light, linewidth=1.3)
    _bars(ax, points, tone)
    ax.set_title(_title(verdict))
    _abscissa(ax, law, points)
    if _spans_decades(points):
        log_axis(ax, "y", law.y, law.unit, list(points["y"]))
    else:
        linear_axis(ax, "y", law.y, law.unit, list(points["y"]))
        ax.set_ylim(bottom=min(0.0, float(points["low"].min())))


def _slopes(ax: "Axes", verdict: "Verdict", tone: Tone) -> None:
    points = points_of(verdict)
    slopes = local_slopes(points)
    if verdict.expected is not None:
        margin = verdict.margin or 0.0
        ax.axhspan(verdict.expected - margin, verdict.expected + margin, color=RULE.light, linewidth=0)
        ax.axhline(verdict.expected, color=MUTED.light, linewidth=1.0)
        seen: Sequence[float] = [*slopes["slope"], verdict.expected - 3 * margin, verdict.expected + 3 * margin]
        ax.set_ylim(max(min(seen), verdict.expected - 1.5) - 0.1, min(max(seen), verdict.expected + 1.5) + 0.1)
    ax.plot(slopes["x"], slopes["slope"], color=tone.light, marker="o", markersize=4, linewidth=1.0)
    linear_axis(ax, "y", "local slope", "", [1.0])
    _abscissa(ax, LAWS[verdict.claim], points)


def _flat(ax: "Axes", verdict: "Verdict", tone: Tone) -> None:
    law, points = LAWS[verdict.claim], points_of(verdict)
    if verdict.expected is not None and verdict.margin:
        low, high = verdict.expected - verdict.margin, verdict.expected + verdict.margin
        ax.axhspan(low, high, color=RULE.light, linewidth=0)
        ax.axhline(verdict.expected, color=MUTED.light, linewidth=1.0)
        edge = verdict.margin / 2
        ax.set_ylim(min(low - edge, points["low"].min() - edge), max(high + edge, points["high"].max() + edge))
    _bars(ax, points, tone)
    ax.set_title(_title(verdict))
    _abscissa(ax, law, points)
    ax.set_ylabel(law.y)


def _abscissa(ax: "Axes", law: LawAxes, points: pd.DataFrame) -> None:
    if law.x == DEPTH:
        depth_axis(ax)
    elif _spans_decades(points):
        log_axis(ax, "x", law.x, "", list(points["x"]))
    else:
        linear_axis(ax, "x", law.x, "", list(points["x"]))


def _title(verdict: "Verdict") -> str:
    return fill(f"{verdict.status}: {verdict.title} ({verdict.group})", 38)


def _spans_decades(points: pd.DataFrame) -> bool:
    """Whether points that double from one to the next would lie on each other on a linear axis."""
    return bool((points[["x", "y"]] > 0).all(axis=None)) and points["x"].max() > 20 * points["x"].min()


def _bars(ax: "Axes", points: pd.DataFrame, tone: Tone) -> None:
    spread = np.vstack([(points["y"] - points["low"]).clip(lower=0), (points["high"] - points["y"]).clip(lower=0)])
    ax.errorbar(
        points["x"], points["y"], yerr=spread, fmt="o", markersize=4, color=tone.light, elinewidth=1.0, zorder=3
    )
