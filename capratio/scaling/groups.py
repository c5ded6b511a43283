"""Records that differ in one size only: how they are grouped, and the words for what a group holds equal."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import fields

from capratio.records.record import Point, Record

FIELDS = tuple(field.name for field in fields(Point))
# What a group is called by; the rest of what it holds equal is its regime.
_NAMED = ("in_features", "out_features", "depth")
# The order in which a regime is told: the call first, then where it ran, on what, and by which means.
_TOLD = (
    "tokens",
    "pass_",
    "cache",
    "dtype",
    "device",
    "threads",
    "input",
    "routing",
    "backend",
    "gate",
    "bias",
    "order",
    "options",
    "weight_gradient",
)

Key = tuple[tuple[str, object], ...]


def grouped(records: Iterable[Record], without: Collection[str]) -> dict[Key, list[Record]]:
    """Records by all fields of their point but those in ``without``; groups in the order of their fields."""
    groups: dict[Key, list[Record]] = defaultdict(list)
    for record in records:
        groups[_key(record.point, without)].append(record)
    return {key: groups[key] for key in sorted(groups, key=_sortable)}


def split_by_order(groups: Mapping[Key, list[Record]]) -> dict[Key, list[Record]]:
    """Groups in which one size was measured in several orders, parted by order.

    A layer that picks its own order may change it along a line, which is then one line; a case that names orders makes
    a line of each.
    """
    parted: dict[Key, list[Record]] = {}
    for key, records in groups.items():
        seen: dict[Key, set[str | None]] = defaultdict(set)
        for record in records:
            seen[_key(record.point, ("order",))].add(record.point.order)
        if all(len(orders) == 1 for orders in seen.values()):
            parted[key] = records
            continue
        for record in records:
            parted.setdefault((*key, ("order", record.point.order)), []).append(record)
    return parted


def names(keys: Sequence[Key]) -> list[str]:
    """A name for each group of one claim: the layer, its sizes, and whatever else parts it from the other groups."""
    values: dict[str, set[object]] = defaultdict(set)
    for key in keys:
        for field, value in key:
            values[field].add(value)
    named = []
    for key in keys:
        own = dict(key)
        told = [f for f in own if f not in ("layer", "form") and (f in _NAMED or len(values[f]) > 1)]
        named.append(", ".join([series(own), *(word(field, own[field]) for field in told)]))
    return named


def series(own: Mapping[str, object]) -> str:
    """The layer and its form as figures name them: ``tree-shared``, ``tree-shared, collapsed``."""
    layer, form = own.get("layer"), own.get("form", "path")
    return str(layer) if form == "path" else f"{layer}, {form}"


def regime(key: Key) -> str:
    """Everything but layer and sizes that a group holds equal, in words."""
    own = dict(key)
    return ", ".join(filter(None, (word(field, own[field]) for field in _TOLD if field in own)))


def word(field: str, value: object) -> str:
    """One field of a point in words, empty for an option that is not used."""
    if field == "threads":
        return f"{value} thread{'' if value == 1 else 's'}"
    if field == "bias":
        return "" if value else "no bias"
    if field == "order":
        return f"order {value}" if value else ""
    if field == "weight_gradient":
        return "" if value == "dense" else f"{value} weight gradient"
    if field == "options":
        return ", ".join(f"{name} = {each}" for name, each in value) if isinstance(value, tuple) else ""
    return _WORDS.get(field, "{}").format(value)


_WORDS = {
    "in_features": "p = {}",
    "out_features": "q = {}",
    "depth": "k = {}",
    "tokens": "N = {}",
    "input": "{} input",
    "routing": "{} routing",
    "backend": "{} backend",
    "gate": "{} gate",
}


def _key(point: Point, without: Collection[str]) -> Key:
    return tuple((field, _value(point, field)) for field in FIELDS if field not in without)


def _sortable(key: Key) -> list[tuple[float, str]]:
    """Numbers by size, all else as text; None comes first."""
    return [(float(v), "") if isinstance(v, int | float) else (-1.0, "" if v is None else str(v)) for _, v in key]


def _value(point: Point, field: str) -> object:
    value = getattr(point, field)
    return tuple(sorted(value.items())) if isinstance(value, dict) else value
