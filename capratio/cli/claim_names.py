"""The claims that cases serve, held against those that a report can judge, before anything is measured."""

from collections.abc import Iterable
from difflib import get_close_matches

from capratio.errors import InputError


def check_claims(named: Iterable[tuple[str, str]], known: Iterable[str]) -> None:
    """Raise InputError, with its place and the nearest right name, for a claim that nobody can judge.

    Args: named: (where a case file names it, claim).
    """
    names = tuple(known)
    for where, claim in named:
        if claim not in names:
            near = get_close_matches(claim, names, n=1)
            hint = f"did you mean {near[0]!r}?" if near else "the names are those of 'capratio list claims'."
            raise InputError(f"{where}: claims names {claim!r}, which is not known; {hint}")
