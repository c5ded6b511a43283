"""Where times come from: a clock that is given, so that a test can give another one."""

import time
from typing import Protocol


class Clock(Protocol):
    """Something that tells the time."""

    def now_s(self) -> float:
        """Seconds since a start of its own choice; never falls."""


class PerfClock:
    """The monotonic clock of the process with the finest resolution that Python has."""

    def now_s(self) -> float:
        """Seconds, by ``time.perf_counter``."""
        return time.perf_counter()
