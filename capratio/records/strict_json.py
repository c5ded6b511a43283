"""One JSON object from text that nobody vouches for."""

import json
import math
from collections import Counter
from typing import NoReturn

from capratio.errors import InputError

MAX_DEPTH = 32
"""Nesting that is read; a record has 4 levels and a machine's description fewer than 10."""

_INT64 = 2**63
_INT64_DIGITS = 20


def parse_object(text: str) -> dict[str, object]:
    """Return the JSON object that ``text`` holds, strictly.

    NaN, Infinity, numbers that overflow a float or a signed 64-bit integer, keys given twice, broken Unicode and
    nesting deeper than ``MAX_DEPTH`` are refused.

    Raises InputError with one sentence that says what was found.
    """
    try:
        value = json.loads(
            text,
            parse_constant=_constant,
            parse_float=_float,
            parse_int=_integer,
            object_pairs_hook=_unique,
        )
    except RecursionError:
        raise InputError(f"JSON nested deeper than {MAX_DEPTH} levels was given; a record is flatter.") from None
    except json.JSONDecodeError as error:
        raise InputError(f"text that is not JSON was given ({error.msg} at character {error.pos}).") from None
    if not isinstance(value, dict):
        raise InputError(f"a JSON {kind(value)} was given; an object is expected.")
    _check_tree(value)
    return value


def kind(value: object) -> str:
    """The JSON name of a parsed value's type."""
    names = {dict: "object", list: "list", str: "string", bool: "boolean", int: "integer", float: "number"}
    return names.get(type(value), "null" if value is None else type(value).__name__)


def _constant(text: str) -> NoReturn:
    raise InputError(f"the number {text} was given; only finite numbers are records.")


def _float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise InputError(f"the number {text[:40]} was given; it overflows a float; records have finite numbers.")
    return value


def _integer(text: str) -> int:
    if len(text) > _INT64_DIGITS or not -_INT64 <= (value := int(text)) < _INT64:
        raise InputError(f"an integer of {len(text)} characters was given; integers in records fit 64 bits.")
    return value


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        # Counted in one pass: comparing all pairs of a hostile line's keys would take hours.
        twice, _ = Counter(key for key, _ in pairs).most_common(1)[0]
        raise InputError(f"the key {twice[:40]!r} stands twice in one JSON object; a key stands once.")
    return found


def _check_tree(root: dict[str, object]) -> None:
    """Walk without recursion: depth bounded, every string valid Unicode."""
    level: list[object] = [root]
    for _ in range(MAX_DEPTH):
        below: list[object] = []
        for value in level:
            children = [*value, *value.values()] if isinstance(value, dict) else value
            for child in children if isinstance(children, list) else ():
                if isinstance(child, str):
                    _check_text(child)
                elif isinstance(child, dict | list):
                    below.append(child)
        if not below:
            return
        level = below
    raise InputError(f"JSON nested deeper than {MAX_DEPTH} levels was given; a record is flatter.")


def _check_text(text: str) -> None:
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise InputError("a string with half of a surrogate pair was given; strings are valid Unicode.") from None
