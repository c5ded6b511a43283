"""Names that a file from outside may use, and the nearest right one where a name is wrong."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Protocol, TypeVar

from capratio.errors import InputError


def check_keys(given: object, known: tuple[str, ...], where: str) -> None:
    """Raise InputError where ``given`` is not a table or has a key that is not known."""
    if not isinstance(given, dict):
        raise InputError(f"{where} is {given!r}; give a table of keys.")
    for key in given:
        one_of(str(key), known, f"{where}: the key")


def fits(pattern: str, name: str) -> bool:
    """Whether a name matches a shell pattern.

    Ids contain brackets: one in a pattern stands for itself, or for a set of characters where that names something.
    """
    return any(fnmatchcase(name, each) for each in (pattern.replace("[", "[[]"), pattern))


class Named(Protocol):
    """Something that has an id."""

    @property
    def id(self) -> str:
        """The name that a pattern is held against."""


_Named = TypeVar("_Named", bound=Named)


def those_that_fit(pattern: str | None, cases: Sequence[_Named]) -> list[_Named]:
    """The cases whose id matches a shell pattern, or all of them. Args: cases: at least one.

    Raises InputError, with the way out, where none matches.
    """
    if pattern is None:
        return list(cases)
    chosen = [case for case in cases if fits(pattern, case.id)]
    if chosen:
        return chosen
    wider = f"*{pattern}*"
    near = f"did you mean {wider!r}? " if any(fits(wider, case.id) for case in cases) else ""
    raise InputError(
        f"no case matches the pattern {pattern!r}, which stands for a whole id; {near}The {len(cases)} ids are such as "
        f"{cases[0].id}."
    )


def one_of(word: str, known: Iterable[str], where: str) -> None:
    """Raise InputError, with the nearest right name, where a word is not known."""
    names = tuple(known)
    if word in names:
        return
    near = get_close_matches(word, names, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"use one of {', '.join(names)}."
    raise InputError(f"{where} {word!r} is not known; {hint}")
