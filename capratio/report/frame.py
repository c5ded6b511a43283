"""The tidy frame: one row a measured case, one plain column a figure, units in names."""

from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pandas as pd

from capratio.cost.flop import Flop
from capratio.report.palette import series_name

if TYPE_CHECKING:
    from capratio.records.record import Exact, Memory, Point
    from capratio.records.summary import CaseSummary

FLOP_CLASSES = tuple(Flop().as_dict())
# Columns that are numbers or missing; made floats, so that a frame without any still has them.
NUMBERS = (
    "latency_s",
    "latency_low_s",
    "latency_high_s",
    "process_spread",
    "limit_s",
    "efficiency",
    *(f"flop_{name}" for name in (*FLOP_CLASSES, "total")),
    "law_flop_overhead",
    "parameters",
    "weight_parameters",
    "touched_parameters",
    "compulsory_bytes",
    "op_bytes",
    "visited_leaves",
    "expected_leaves",
    "capacity_ratio",
    "capacity_ratio_all",
    "state_bytes",
    "allocated_peak_bytes",
    "reserved_peak_bytes",
    "device_used_peak_bytes",
    "resident_peak_bytes",
    "energy_j",
)
# Columns that are words or whole numbers, always there.
KEYS = (
    "case",
    "suite",
    "group",
    "status",
    "series",
    "layer",
    "form",
    "in_features",
    "out_features",
    "depth",
    "tokens",
    "dtype",
    "device",
    "pass",
    "cache",
    "input",
    "routing",
    "backend",
    "threads",
    "bias",
    "gate",
    "order",
    "options",
    "weight_gradient",
    "replicates",
    "bound",
)


def tidy(summaries: "Iterable[CaseSummary]") -> pd.DataFrame:
    """One row a measured case, with ``KEYS`` and ``NUMBERS`` as columns (NaN where a number is not known)."""
    rows = [_row(summary) for summary in summaries if summary.replicates]
    frame = pd.DataFrame(rows, columns=[*KEYS, *NUMBERS])
    return frame.astype(dict.fromkeys(NUMBERS, "float64"))


def _row(summary: "CaseSummary") -> dict[str, Any]:
    return {
        "case": summary.case,
        "suite": summary.suite,
        "group": summary.group,
        "replicates": summary.replicates,
        "latency_s": summary.latency_s,
        "latency_low_s": summary.low_s,
        "latency_high_s": summary.high_s,
        "process_spread": summary.spread,
        "efficiency": summary.efficiency,
        **_place(summary.point),
        **_counted(summary.exact),
        **_held(summary.memory),
        **_roof(summary),
    }


def _place(point: "Point") -> dict[str, Any]:
    place = asdict(point)
    place["pass"] = place.pop("pass_")
    place["series"] = series_name(point.layer, point.form)
    place["options"] = ",".join(f"{key}={value}" for key, value in sorted((point.options or {}).items()))
    return place


def _counted(exact: "Exact | None") -> dict[str, Any]:
    if exact is None:
        return {}
    counted = {f"flop_{name}": exact.flop.get(name, 0) for name in FLOP_CLASSES}
    return counted | {
        "flop_total": sum(counted.values()),
        "law_flop_overhead": (exact.law_flop or {}).get("overhead"),
        "parameters": exact.parameters,
        "weight_parameters": exact.weight_parameters,
        "touched_parameters": exact.touched_parameters,
        "compulsory_bytes": exact.compulsory_bytes,
        "op_bytes": exact.op_bytes,
        "visited_leaves": exact.visited_levels[-1] if exact.visited_levels else None,
        "expected_leaves": exact.expected_visited_levels[-1] if exact.expected_visited_levels else None,
        "capacity_ratio": exact.capacity_ratio,
        "capacity_ratio_all": exact.capacity_ratio_all,
    }


def _held(memory: "Memory | None") -> dict[str, Any]:
    if memory is None:
        return {}
    held = asdict(memory)
    held.pop("absent")
    return held


def _roof(summary: "CaseSummary") -> dict[str, Any]:
    if summary.limit is None or summary.efficiency is None or summary.latency_s is None:
        return {}
    # Ceilings move from process to process: the limit in whose share of the latency all processes count.
    return {"limit_s": summary.efficiency * summary.latency_s, "bound": summary.limit.bound}
