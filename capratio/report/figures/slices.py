"""Which cases a figure shows: one setting in which a line over the depth is longest, and its words."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

# Everything that must be equal along a line but what the layers themselves vary (form, order, backend, depth).
SETTING = (
    "in_features",
    "out_features",
    "tokens",
    "dtype",
    "device",
    "pass",
    "cache",
    "input",
    "routing",
    "threads",
    "gate",
    "bias",
    "options",
    "weight_gradient",
)
# Sizes of the layer; free where a figure compares layers of different widths.
WIDTHS = ("in_features", "out_features")


@dataclass(frozen=True, slots=True)
class View:
    """The depth line of one kind of call, by a short name for a panel's title."""

    name: str
    rows: "pd.DataFrame"


def depth_line(rows: "pd.DataFrame") -> "pd.DataFrame":
    """The rows of the setting in which the layers run over the most depths (the dense layer's row with them).

    Empty when no setting has two depths of one series.
    """
    return longest_line(rows, "depth", SETTING)


def width_line(rows: "pd.DataFrame", like: "pd.DataFrame") -> "pd.DataFrame":
    """The square layers (p = q) of ``rows`` that share all but the widths with ``like``."""
    same = [name for name in SETTING if name not in WIDTHS]
    square = rows[rows["in_features"] == rows["out_features"]]
    for name in same:
        square = square[square[name] == like[name].iloc[0]]
    return square


def views(frame: "pd.DataFrame") -> list[View]:
    """The kinds of call that latency figures show, where measured: one token cold and warm, a batch, training."""
    measured = frame[frame["latency_s"].notna()]
    alone = measured[(measured["tokens"] == 1) & (measured["pass"] != "train")]
    batch = measured[(measured["tokens"] > 1) & (measured["pass"] == "forward")]
    training = measured[measured["pass"] == "train"]
    found = []
    for name, rows in (
        ("one token, cold", alone[alone["cache"] == "cold"]),
        ("one token, warm", alone[alone["cache"] == "warm"]),
        ("a batch", batch),
        ("training", training),
    ):
        line = depth_line(rows)
        if line.empty:
            continue
        tokens, cache = int(line["tokens"].iloc[0]), line["cache"].iloc[0]
        found.append(View(name if name.startswith("one") else f"{name}, N = {tokens}, {cache}", line))
    return found


def words(rows: "pd.DataFrame", leave_out: Sequence[str] = ()) -> str:
    """What is the same in all ``rows``, as a caption says it (``p = q = 512, N = 1, decode, cold caches, float32``)."""

    def one(name: str) -> str | None:
        values = rows[name].dropna().unique()
        return str(values[0]) if len(values) == 1 and name not in leave_out else None

    p, q = one("in_features"), one("out_features")
    said = [f"p = q = {p}"] if p is not None and p == q else [f"p = {p}" if p else None, f"q = {q}" if q else None]
    said += [f"N = {one('tokens')}" if one("tokens") else None, one("pass")]
    said += [f"{one('cache')} caches" if one("cache") else None, one("dtype")]
    said += [f"{one('input')} input" if one("input") else None]
    said += [f"{one('routing')} routing" if one("routing") not in (None, "measured") else None]
    threads = one("threads")
    said += [f"{threads} thread{'' if threads == '1' else 's'}" if threads else None]
    return ", ".join(part for part in said if part)


def longest_line(rows: "pd.DataFrame", vary: str, setting: Sequence[str]) -> "pd.DataFrame":
    """The group of equal ``setting`` in which the series together have the most values of ``vary`` (but series of one).

    Where a series was measured in several orders at one depth, the order with the most depths is kept.
    """
    best, best_score = rows.iloc[:0], (0, False)
    for _, group in rows.groupby(list(setting), dropna=False, sort=True):
        depths = group.groupby("series")[vary].nunique()
        # Of equally long lines the one on real input tells more.
        score = int(depths[depths > 1].sum()), group["input"].iloc[0] != "gaussian"
        if score[0] > 0 and score > best_score:
            best, best_score = group, score
    return _one_order(best)


def _one_order(rows: "pd.DataFrame") -> "pd.DataFrame":
    """Where a series was measured in several orders at one depth, keep the order with the most depths."""
    kept = []
    for _, part in rows.groupby("series", sort=False):
        if part["depth"].duplicated().any():
            most = part["order"].fillna("").value_counts().sort_index().idxmax()
            part = part[part["order"].fillna("") == most].drop_duplicates("depth")
        kept.append(part)
    if not kept:
        return rows
    import pandas as pd

    return pd.concat(kept)
