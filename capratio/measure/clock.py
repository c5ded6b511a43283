"""Where time comes from, so that tests can bring a time of their own."""

import time
from typing import Protocol


class Clock(Protocol):
    """A clock that never goes back."""

    def now_s(self) -> float:
        """Seconds since a moment that is the clock's own."""


class PerfClock:
    """The system's steady clock of the finest resolution."""

    # The built-in itself: a method around it would add its own call to every sample.
    now_s = staticmethod(time.perf_counter)


def clock_resolution_s(clock: Clock, ticks: int = 50) -> float:
    """The smallest step that a clock is seen to make, in seconds.

    ticks: how many steps are looked at.
    """
    smallest = float("inf")
    for _ in range(ticks):
        start_s = clock.now_s()
        while (now_s := clock.now_s()) <= start_s:
            pass
        smallest = min(smallest, now_s - start_s)
    return smallest
