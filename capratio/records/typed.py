"""A dataclass from a parsed JSON object, with each field's type checked."""

import types
from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from capratio.errors import InputError
from capratio.records.strict_json import kind

TYPE_NAMES = {str: "a string", int: "an integer", float: "a number", bool: "a boolean", type(None): "null"}

Parser = Callable[[object, str], Any]
T = TypeVar("T")


def build(cls: type[T], value: object, path: str = "") -> T:
    """Return the ``cls`` that a parsed JSON object describes; ``path`` names the object in messages.

    Annotations that are understood: str, int, float (an integer is taken for it), bool, None, unions of one of these
    with None, ``tuple[T, ...]`` (a JSON list), ``dict[str, T]``, and dataclasses of these. A key is the field's name
    without the underscore that keeps ``pass_`` from being a keyword.

    Raises InputError that names the field: a wrong type, an unknown key, a missing key without a default.
    """
    described: Any = cls
    made: T = _dataclass_parser(described)(value, path)
    return made


def key_of(field_name: str) -> str:
    """The JSON key of a dataclass field."""
    return field_name.rstrip("_")


@cache
def _dataclass_parser(cls: type) -> Parser:
    hints = get_type_hints(cls)
    names = {key_of(f.name): f.name for f in fields(cls)}
    parsers = {key: _parser(hints[name]) for key, name in names.items()}
    required = [key_of(f.name) for f in fields(cls) if f.default is MISSING and f.default_factory is MISSING]

    def parse(value: object, path: str) -> object:
        if not isinstance(value, dict):
            raise _wrong(path or "record", value, "an object")
        for key in value:
            if key not in parsers:
                where = f"in {path}" if path else "in the record"
                raise InputError(f"the key {key!r} {where} is not known; a newer capratio or another tool wrote it.")
        for key in required:
            if key not in value:
                raise InputError(f"the field {_join(path, key)} is missing.")
        return cls(**{names[key]: parsers[key](item, _join(path, key)) for key, item in value.items()})

    return parse


def _parser(hint: Any) -> Parser:
    if is_dataclass(hint) and isinstance(hint, type):
        return _dataclass_parser(hint)
    if hint in TYPE_NAMES:
        return _scalar_parser(hint)
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (types.UnionType, Union) and len(arguments) == 2 and type(None) in arguments:
        return _optional_parser(_parser(next(a for a in arguments if a is not type(None))))
    if origin is tuple and arguments[1:] == (Ellipsis,):
        return _list_parser(_parser(arguments[0]))
    if origin is dict and arguments[0] is str:
        return _map_parser(_parser(arguments[1]))
    raise TypeError(f"no JSON form is defined for the annotation {hint!r}")


def _scalar_parser(hint: type) -> Parser:
    def parse(value: object, path: str) -> object:
        if type(value) is hint:
            return value
        if hint is float and type(value) is int:
            return float(value)
        raise _wrong(path, value, TYPE_NAMES[hint])

    return parse


def _optional_parser(inner: Parser) -> Parser:
    return lambda value, path: None if value is None else inner(value, path)


def _list_parser(inner: Parser) -> Parser:
    def parse(value: object, path: str) -> object:
        if not isinstance(value, list):
            raise _wrong(path, value, "a list")
        return tuple([inner(item, path) for item in value])

    return parse


def _map_parser(inner: Parser) -> Parser:
    def parse(value: object, path: str) -> object:
        if not isinstance(value, dict):
            raise _wrong(path, value, "an object")
        return {key: inner(item, _join(path, key)) for key, item in value.items()}

    return parse


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _wrong(path: str, value: object, expected: str) -> InputError:
    return InputError(f"the field {path} holds a JSON {kind(value)}; it must be {expected}.")
