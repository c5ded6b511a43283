"""Names that a file from outside may use, and the nearest right one where a name is wrong."""

from collections.abc import Iterable
from difflib import get_close_matches
from fnmatch import fnmatchcase

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


def one_of(word: str, known: Iterable[str], where: str) -> None:
    """Raise InputError, with the nearest right name, where a word is not known."""
    names = tuple(known)
    if word in names:
        return
    near = get_close_matches(word, names, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"use one of {', '.join(names)}."
    raise InputError(f"{where} {word!r} is not known; {hint}")
