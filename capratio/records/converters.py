"""Older record schemas, each read by one step to the next."""

from collections.abc import Callable, Mapping

from capratio.errors import InputError
from capratio.records.record import SCHEMA

Converter = Callable[[dict[str, object]], dict[str, object]]

CONVERTERS: Mapping[int, Converter] = {}
"""Schema n → the function that turns a parsed record of it into one of schema n + 1 (``schema`` is set for it)."""


def readable_schemas(converters: Mapping[int, Converter] = CONVERTERS, newest: int = SCHEMA) -> tuple[int, ...]:
    """The schemas that are read: the newest, and each older one from which converters lead to it without a gap."""
    oldest = newest
    while oldest - 1 in converters:
        oldest -= 1
    return tuple(range(oldest, newest + 1))


def upgrade(
    raw: dict[str, object], converters: Mapping[int, Converter] = CONVERTERS, newest: int = SCHEMA
) -> dict[str, object]:
    """Return ``raw`` as an object of the newest schema.

    Raises InputError without a ``schema`` key, or for a schema that is not read, and names those that are.
    """
    schema = raw.get("schema")
    if type(schema) is not int:
        raise InputError("an object without an integer 'schema' was given; it is not a record of capratio.")
    readable = readable_schemas(converters, newest)
    if schema not in readable:
        versions = ", ".join(map(str, readable))
        mend = "install a newer capratio" if schema > newest else "read it with the capratio that wrote it"
        raise InputError(f"a record of schema {schema} was given; this capratio reads schema {versions}: {mend}.")
    for step in range(schema, newest):
        raw = {**converters[step](dict(raw)), "schema": step + 1}
    return raw
