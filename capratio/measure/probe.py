"""One attempt at a ceiling: a call that moves known bytes or executes known FLOP, and the best rate that it shows."""

from collections.abc import Callable
from dataclasses import dataclass

from capratio.measure.clock import Clock

# After one untimed call; the best of fewer would be a matter of luck.
LEAST_CALLS = 2


@dataclass(frozen=True, slots=True)
class Probe:
    """A candidate for a point of a ceiling; a point keeps the best of its candidates.

    point: what it is a candidate for: a curve's name and a footprint in bytes, or ``product`` and a dtype's name.
    amount: bytes that a call moves, or FLOP that it executes.
    """

    point: tuple[str, int | str]
    amount: float
    call: Callable[[], object]


def best_rate(probe: Probe, time_s: float, clock: Clock, wait: Callable[[], None], burst: int = 1) -> float:
    """The amount over the shortest of the calls that fit in a time, at least two after a first untimed one.

    Args: time_s: seconds. wait: returns when the device has done all that it was given. burst: calls that are timed
    together, so that a device's launches and the wait for it are not taken for its work.
    """
    probe.call()
    wait()
    started_s, shortest_s, calls = clock.now_s(), float("inf"), 0
    while calls < LEAST_CALLS or clock.now_s() - started_s < time_s:
        before_s = clock.now_s()
        for _ in range(burst):
            probe.call()
        wait()
        shortest_s = min(shortest_s, clock.now_s() - before_s)
        calls += 1
    return burst * probe.amount / shortest_s
