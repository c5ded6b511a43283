"""One gate at a time in a repository: two would install their commits into the same environments."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from capratio.errors import InputError

LOCK = "lock"


@contextmanager
def alone_in(work: Path) -> Iterator[None]:
    """Hold the work folder of a repository's gates.

    Raises InputError where another gate holds it.
    """
    handle = os.open(work / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(
                f"another gate runs in {work}; wait until it has ended, and give the command again."
            ) from None
        yield
    finally:
        os.close(handle)
