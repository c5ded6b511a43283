"""Case files as a person names them: a path, or the name of one that the package brings."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path

from capratio.errors import InputError


def case_files(names: Sequence[str], bundled: Mapping[str, Path]) -> list[Path]:
    """The files behind the names, in their order; a path that exists goes before a bundled name.

    Args: bundled: name → file.

    Raises InputError for a name that is neither, with the nearest bundled one.
    """
    return [_case_file(name, bundled) for name in names]


def _case_file(name: str, bundled: Mapping[str, Path]) -> Path:
    if Path(name).is_file():
        return Path(name)
    if name in bundled:
        return bundled[name]
    near = get_close_matches(name, bundled, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"bundled case files are {', '.join(sorted(bundled))}."
    raise InputError(f"{name!r} is neither a case file nor the name of a bundled one; {hint}")
