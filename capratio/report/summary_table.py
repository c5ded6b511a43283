"""The page's table of cases: which columns it shows, as people read them, and the same rows as JSON."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from capratio.display import shared_parts
from capratio.report.quantities import NOTHING, integer, measured, quantity
from capratio.units import significant

if TYPE_CHECKING:
    import pandas as pd

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Column:
    """One column: the key that it sorts by, its heading, and how a row's cell reads."""

    key: str
    heading: str
    cell: Callable[[Row], str]


COLUMNS = (
    Column("case", "case", lambda row: str(row["case"])),
    Column("parameters", "parameters", lambda row: quantity(row["parameters"])),
    Column("capacity_ratio", "capacity", lambda row: _times(row["capacity_ratio"])),
    Column("flop_total", "FLOP", lambda row: quantity(row["flop_total"])),
    Column("latency_s", "latency [interval]", lambda row: _latency(row)),
    Column("times_limit", "\u00d7 limit", lambda row: _times(row["times_limit"], "")),
    Column("bound", "bound by", lambda row: str(row["bound"] or NOTHING)),
    Column("visited_leaves", "leaves / uniform", lambda row: _leaves(row)),
    Column("state_bytes", "holds", lambda row: quantity(row["state_bytes"], "B")),
    Column("allocated_peak_bytes", "call peak", lambda row: quantity(row["allocated_peak_bytes"], "B")),
    Column("replicates", "processes", lambda row: str(row["replicates"])),
)
# Kept in the page's JSON: what the table shows and what a reader would compute with.
JSON_KEYS = (
    "case",
    "layer",
    "form",
    "in_features",
    "out_features",
    "depth",
    "tokens",
    "pass",
    "cache",
    "order",
    "replicates",
    "latency_s",
    "latency_low_s",
    "latency_high_s",
    "process_spread",
    "limit_s",
    "times_limit",
    "bound",
    "parameters",
    "weight_parameters",
    "touched_parameters",
    "capacity_ratio",
    "flop_total",
    "flop_overhead",
    "compulsory_bytes",
    "visited_leaves",
    "expected_leaves",
    "state_bytes",
    "allocated_peak_bytes",
    "resident_peak_bytes",
)


def summary_rows(frame: "pd.DataFrame") -> list[dict[str, Any]]:
    """The frame's rows as plain objects in the order of their cases, NaN as None, whole numbers as int."""
    ordered = frame.assign(times_limit=frame["latency_s"] / frame["limit_s"]).sort_values(
        ["layer", "form", "in_features", "out_features", "depth", "tokens", "pass", "cache", "case"]
    )
    return [{str(key): _plain(value) for key, value in row.items()} for row in ordered.to_dict("records")]


def cells(row: Row, common: Sequence[str] = ()) -> list[str]:
    """One row of the table as text, by ``COLUMNS``; parts of a case's id that are ``common`` to all are left out."""
    texts = [column.cell(row) for column in COLUMNS]
    texts[0] = "/".join(part for part in str(row["case"]).split("/") if part not in common)
    return texts


def common_parts(rows: Sequence[Row]) -> list[str]:
    """The parts of the cases' ids that all of them share, so that the table says them once."""
    return shared_parts([str(row["case"]) for row in rows])


def summary_json(rows: list[dict[str, Any]]) -> str:
    """The rows as JSON that may stand inside a script element: columns named once, ``<``, ``>`` and ``&`` escaped."""
    text = json.dumps(
        {"columns": JSON_KEYS, "rows": [[_short(row[key]) for key in JSON_KEYS] for row in rows]},
        allow_nan=False,
        separators=(",", ":"),
    )
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _plain(value: object) -> object:
    if isinstance(value, float):
        if not math.isfinite(value):
            return None
        return int(value) if value.is_integer() else value
    return value


def _short(value: object) -> object:
    # Six digits are finer than any measurement here; exact integers stay whole.
    return float(f"{value:.6g}") if isinstance(value, float) else value


def _times(value: float | None, sign: str = "\u00d7\u202f") -> str:
    return NOTHING if value is None else f"{sign}{significant(value)}"


def _latency(row: Row) -> str:
    middle, low, high = row["latency_s"], row["latency_low_s"], row["latency_high_s"]
    if middle is None or low is None or high is None:
        return quantity(middle, "s")
    return measured(middle, low, high, "s")


def _leaves(row: Row) -> str:
    visited, expected = row["visited_leaves"], row["expected_leaves"]
    if visited is None or expected is None or not row["depth"]:
        return NOTHING
    return f"{integer(visited)} / {integer(round(expected)) if expected >= 100 else significant(expected)}"
