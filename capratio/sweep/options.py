"""Options of a layer as text, which a case's id and a record keep, and the values that a constructor is given."""

import json
from collections.abc import Mapping

from capratio.errors import InputError

Value = str | int | float | bool


def option_of(value: object, where: str) -> str:
    """A value of a case file as an option's text: numbers and truth values as JSON, text as it is.

    Text that would be read as a number, a truth value or a text in quotes stands in JSON's quotes.

    Raises InputError for anything but text, a number or a truth value.
    """
    if isinstance(value, str):
        return json.dumps(value) if _is_json(value) else value
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    raise InputError(f"{where} is {value!r}; give a number, true, false or a text, or a list of these.")


def value_of(option: str) -> Value:
    """The value that an option's text stands for; ``value_of(option_of(value))`` is the value."""
    return json.loads(option) if _is_json(option) else option


def values_of(options: Mapping[str, str]) -> dict[str, Value]:
    """The arguments that options stand for."""
    return {name: value_of(option) for name, option in options.items()}


def _is_json(text: str) -> bool:
    try:
        value = json.loads(text)
    except ValueError:
        return False
    return isinstance(value, str | int | float | bool)
