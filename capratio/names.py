"""Names that a file from outside may use, and the nearest right one where a name is wrong."""

from collections.abc import Iterable, Sequence
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


def nothing_fits(pattern: str, ids: Sequence[str]) -> InputError:
    """That no case's id matches a pattern, with the way out. Args: ids: of all cases, at least one."""
    wider = f"*{pattern}*"
    near = f"did you mean {wider!r}? " if any(fits(wider, each) for each in ids) else ""
    return InputError(
        f"no case matches the pattern {pattern!r}, which stands for a whole id; {near}The {len(ids)} ids are such as "
        f"{ids[0]}."
    )


def one_of(word: str, known: Iterable[str], where: str) -> None:
    """Raise InputError, with the nearest right name, where a word is not known."""
    names = tuple(known)
    if word in names:
        return
    near = get_close_matches(word, names, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"use one of {', '.join(names)}."
    raise InputError(f"{where} {word!r} is not known; {hint}")
