"""The refusal to measure on another system than Linux."""

import sys

from capratio.errors import InputError


def require_linux(system: str = sys.platform) -> None:
    """Do nothing on Linux.

    Raises InputError elsewhere.
    """
    if system != "linux":
        raise InputError(
            f"this system is {system!r}, and caches, memory and clocks are read the way that Linux gives them; "
            "measure on Linux, and read the run with verdict, report and export anywhere."
        )
