"""Roofline: bytes and FLOP a second that cases reach, under the ceilings measured in the same run."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from capratio.cost.spec import LAYERS
from capratio.report.figures.canvas import draw_series, legend, log_axis, panels, paper
from capratio.report.figures.evidence import Drawing, Evidence
from capratio.report.figures.slices import views, words
from capratio.report.palette import INK

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Curve of the ceilings → its label, line style, the end at which the label stands, its shift from there (points).
_CURVES = {
    "read_curve": ("read", "solid", 0, (0, 5)),
    "copy_curve": ("copy", (0.0, (5.0, 2.0)), 0, (0, -12)),
    "random_row_curve": ("random rows", (0.0, (1.0, 1.5)), -4, (-36, -14)),
}


def select(evidence: Evidence) -> pd.DataFrame:
    """The cases that are points, with ``bytes_per_s``, ``flop_per_s_reached`` and ``intensity``.

    They are those of the latency figure's views, or all of a run with layers that have no depth, and so no place there.
    """
    frame = evidence.frame
    chosen = [view.rows for view in views(frame)] if set(frame["layer"]) <= set(LAYERS) else [frame]
    rows = pd.concat(chosen) if chosen else frame.iloc[:0]
    rows = rows[rows["compulsory_bytes"].notna() & rows["latency_s"].notna() & (rows["compulsory_bytes"] > 0)]
    return rows.assign(
        bytes_per_s=rows["compulsory_bytes"] / rows["latency_s"],
        flop_per_s_reached=rows["flop_total"] / rows["latency_s"],
        intensity=rows["flop_total"] / rows["compulsory_bytes"],
    )


def curves(ceilings: tuple[Mapping[str, Any], ...]) -> pd.DataFrame:
    """The run's last ceilings as rows (curve, footprint_bytes, bytes_per_s)."""
    found = [
        (name, float(footprint), float(rate))
        for name in _CURVES
        for footprint, rate in (ceilings[-1].get(name) or () if ceilings else ())
    ]
    return pd.DataFrame(found, columns=["curve", "footprint_bytes", "bytes_per_s"])


def draw(evidence: Evidence) -> Drawing | None:
    """Left: bandwidth over footprint under the measured curves. Right: FLOP/s over intensity under their roofs."""
    rows, measured = select(evidence), curves(evidence.ceilings)
    if rows.empty and measured.empty:
        return None
    looks = evidence.looks(rows)
    with paper():
        figure, (left, right) = panels(2, height_in=3.6)
        for name, part in measured.groupby("curve", sort=False):
            label, style, end, shift = _CURVES[str(name)]
            left.plot(part["footprint_bytes"], part["bytes_per_s"], color=INK.light, linestyle=style, linewidth=1.2)
            point = part.iloc[max(end, -len(part))]
            _label(left, label, (point["footprint_bytes"], point["bytes_per_s"]), shift, "left")
        left.margins(y=0.12)
        draw_series(left, rows, "compulsory_bytes", "bytes_per_s", looks, line=False)
        left.set_title("compulsory bytes a second")
        log_axis(left, "x", "footprint", "B", [*rows["compulsory_bytes"], *measured["footprint_bytes"]])
        log_axis(left, "y", "bandwidth", "B/s", [*rows["bytes_per_s"], *measured["bytes_per_s"]])
        _roofs(right, rows, measured, _rates(evidence, rows))
        draw_series(right, rows, "intensity", "flop_per_s_reached", looks, line=False)
        right.set_title("FLOP a second")
        legend(figure, looks, line=False)
    return Drawing(figure, _caption(rows))


def _caption(rows: pd.DataFrame) -> str:
    if rows.empty:
        return "Ceilings of this machine; no case of the run has both a time and a closed form of its bytes."
    trees = set(rows["layer"]) <= set(LAYERS)
    which = "the cases of the depth lines" if trees else "all cases that have a closed form of their bytes"
    return f"Points are {which}: {words(rows, ('tokens', 'pass', 'cache'))}."


def _rates(evidence: Evidence, rows: pd.DataFrame) -> dict[str, float]:
    known = evidence.ceilings[-1].get("flop_per_s") or {} if evidence.ceilings else {}
    used = set(rows["dtype"])
    return {name: float(rate) for name, rate in known.items() if name in used or not used}


def _roofs(ax: "Axes", rows: pd.DataFrame, measured: pd.DataFrame, rates: Mapping[str, float]) -> None:
    read = measured[measured["curve"] == "read_curve"].sort_values("footprint_bytes")
    intensities = [*rows["intensity"], 0.25, 64.0]
    span = (min(intensities) / 1.5, max(intensities) * 1.5)
    top = max(rates.values(), default=0.0)
    for label, style, rate in (
        ("first cache", (0.0, (5.0, 2.0)), read["bytes_per_s"].max() if len(read) else 0.0),
        ("memory", "solid", read["bytes_per_s"].iloc[-1] if len(read) else 0.0),
    ):
        if rate > 0:
            end = min(span[1], top / rate) if top else span[1]
            ax.plot([span[0], end], [span[0] * rate, end * rate], color=INK.light, linestyle=style, linewidth=1.2)
            # Above the first cache's roof and under memory's, near their upper ends, so that neither names the other.
            above = label != "memory"
            place = (0.7 * end, 0.7 * end * rate)
            _label(ax, label, place, (-5, -2) if above else (6, -6), "right" if above else "left")
    for name, rate in rates.items():
        ax.axhline(rate, color=INK.light, linewidth=1.2)
        _label(ax, f"matrix product, {name}", (span[1], rate), (0, 4), "right")
    ax.set_xlim(*span)
    log_axis(ax, "x", "intensity (FLOP / byte)", "", intensities)
    log_axis(ax, "y", "rate", "FLOP/s", [*rows["flop_per_s_reached"], *rates.values()])


def _label(ax: "Axes", text: str, place: tuple[float, float], shift: tuple[float, float], align: str) -> None:
    ax.annotate(text, place, xytext=shift, textcoords="offset points", ha=align, size=9)
