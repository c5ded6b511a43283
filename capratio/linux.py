"""The refusal to measure on another system than Linux."""

import sys

from capratio.errors import InputError


def require_linux(system: str | None = None) -> None:
    """Do nothing on Linux.

    Args: system: as ``sys.platform`` names it; this one's without it.

    Raises InputError elsewhere.
    """
    given = sys.platform if system is None else system
    if given != "linux":
        raise InputError(
            f"this system is {given!r}, and caches, memory and clocks are read the way that Linux gives them; "
            "measure on Linux, and read the run with verdict, report and export anywhere."
        )
