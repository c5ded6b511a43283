"""The columns of the flat table, written from the fields of a record: a name with its unit, a kind, a value."""

import json
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, get_args, get_type_hints

from capratio.records.record import Energy, Exact, Limit, Memory, Point, Record, Timing
from capratio.records.typed import key_of

FLOP_CLASSES = ("product", "overhead", "gating", "bias", "padded")
_FLOP_FIELDS = ("flop", "promised_flop", "law_flop")
_KINDS: dict[object, str] = {str: "text", int: "integer", float: "number", bool: "truth"}
# Parts of a record → what goes before their fields' names, where the bare name says too little in a flat table.
_PARTS: tuple[tuple[str, type, dict[str, str]], ...] = (
    ("point", Point, {}),
    ("exact", Exact, {}),
    ("timing", Timing, {}),
    ("memory", Memory, {"absent": "memory_absent"}),
    ("limit", Limit, {"flop_per_s": "limit_flop_per_s", "bandwidth_bytes_per_s": "limit_bandwidth_bytes_per_s"}),
    ("energy", Energy, {"absent_because": "energy_absent_because"}),
)


@dataclass(frozen=True, slots=True)
class Column:
    """One column: name, value in a record, kind: ``text``, ``integer``, ``number``, ``truth``, ``samples``."""

    name: str
    kind: str
    value: Callable[[Record], Any]


def columns() -> tuple[Column, ...]:
    """Every column in the order of the fields: the record's own, then those of its parts, FLOP one column a class."""
    parts = {name for name, _, _ in _PARTS}
    hints = get_type_hints(Record)
    found = [_plain(f.name, hints[f.name], f.name, None) for f in fields(Record) if f.name not in parts]
    for part, cls, names in _PARTS:
        hints = get_type_hints(cls)
        for field in fields(cls):
            name = names.get(field.name, key_of(field.name))
            if field.name in _FLOP_FIELDS:
                found += [_flop(field.name, flop_class) for flop_class in FLOP_CLASSES]
            else:
                found.append(_plain(name, hints[field.name], field.name, part))
    return tuple(found)


def _plain(name: str, hint: Any, field: str, part: str | None) -> Column:
    bare = [hint] if hint in _KINDS else [a for a in get_args(hint) if a is not type(None)]
    if name.endswith("samples_s"):
        kind = "samples"
    else:
        kind = _KINDS.get(bare[0], "json") if len(bare) == 1 else "json"

    def value(record: Record) -> Any:
        holder = record if part is None else getattr(record, part)
        found = None if holder is None else getattr(holder, field)
        return json.dumps(found, sort_keys=True) if kind == "json" and found is not None else found

    return Column(name, "text" if kind == "json" else kind, value)


def _flop(field: str, flop_class: str) -> Column:
    def value(record: Record) -> int | None:
        counted: dict[str, int] | None = None if record.exact is None else getattr(record.exact, field)
        return None if counted is None else counted.get(flop_class, 0)

    return Column(f"{field}_{flop_class}", "integer", value)
