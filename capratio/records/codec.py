"""A record as one line of JSON, and back with every field checked."""

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass

from capratio.errors import InputError
from capratio.records.converters import CONVERTERS, Converter, upgrade
from capratio.records.record import SCHEMA, STATUSES, Record
from capratio.records.strict_json import parse_object
from capratio.records.typed import build, key_of


def encode(record: Record) -> str:
    """Return the record as one line of JSON without its newline: keys sorted, ASCII, no NaN.

    What is returned can be decoded: the line is read back before it is handed out, so that no record is written that
    nobody can read. Half surrogates in text (they come from broken file names) are replaced by ``?``.

    Raises InputError for a record that cannot be read back: a NaN, an integer over 64 bits, a status that does not fit.
    """
    try:
        line = json.dumps(_plain(record), sort_keys=True, allow_nan=False, separators=(",", ":"))
    except (ValueError, TypeError) as error:
        raise InputError(f"the record of {record.case!r} has no JSON form ({error}).") from None
    decode(line)
    return line


def decode(line: str, converters: Mapping[int, Converter] = CONVERTERS, newest: int = SCHEMA) -> Record:
    """Return the record that a line holds; older schemas pass through ``converters``.

    Raises InputError, one sentence that names the field, for anything that is not a record: see ``strict_json``,
    ``typed`` and ``converters``, and a status that contradicts the content.
    """
    record = build(Record, upgrade(parse_object(line), converters, newest))
    _check(record)
    return record


def _plain(value: object) -> object:
    """JSON's own types, with fields named as ``typed.key_of`` says and text as valid Unicode."""
    if is_dataclass(value):
        return {key_of(field.name): _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, dict):
        return {_plain(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, str) and not value.isascii():
        return value.encode("utf-8", "replace").decode("utf-8")
    return value


def _check(record: Record) -> None:
    """Refuse what the types allow and the words of ``record`` do not."""
    if record.status not in STATUSES:
        raise InputError(f"the field status holds {record.status!r}; it must be one of {', '.join(STATUSES)}.")
    if record.measured and (record.timing is None or not record.timing.samples_s):
        raise InputError("the field timing has no samples, and status says measured; a measurement has at least one.")
    if not record.measured and record.timing is not None:
        raise InputError(f"the field timing is given, and status says {record.status}; only a measurement has times.")
    if not record.measured and not record.reason:
        raise InputError(f"the field reason is empty, and status says {record.status}; a record without times has one.")
    if record.timing is not None and min(record.timing.samples_s) <= 0:
        raise InputError("the field timing.samples_s holds a time that is not positive; a clock went wrong.")
    if record.limit is not None and record.limit.limit_s <= 0:
        raise InputError("the field limit.limit_s is not positive; a roofline time is.")
    point = record.point
    least = {
        "replicate": (record.replicate, 0),
        "block": (record.block, 0),
        "point.in_features": (point.in_features, 1),
        "point.out_features": (point.out_features, 1),
        "point.depth": (point.depth, 0),
        "point.tokens": (point.tokens, 0),
        "point.threads": (point.threads, 1),
    }
    for name, (value, smallest) in least.items():
        if value < smallest:
            raise InputError(f"the field {name} is {value}; it must be at least {smallest}.")
