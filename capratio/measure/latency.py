"""Latency of a call on this process's own clock: warmed up until steady, every sample kept in time order."""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import isfinite
from statistics import median
from typing import TypeVar

from capratio.errors import InputError
from capratio.measure.clock import Clock
from capratio.measure.noise import relative_noise

Argument = TypeVar("Argument")
Output = TypeVar("Output")

# Calls whose median is compared with that of the calls before them: one slow call must not decide.
WINDOW = 3
# A window at most this much faster than the one before is steady; slower ones are noise, not warming up.
STEADY = 0.05


@dataclass(frozen=True, slots=True)
class SamplePolicy:
    """When a measurement has enough samples.

    It stops at ``relative_noise`` of the median (half its 95 % interval) once ``min_samples`` are there, at
    ``max_samples``, or after ``time_limit_s``, whichever comes first; one sample is always taken. The warm-up ends when
    it is steady, after ``warmup_max_calls`` or after ``warmup_time_limit_s``. Times are in seconds and count
    everything, also what is untimed.

    Raises InputError for counts under 1, limits that are not positive, or fewer samples at most than at least.
    """

    min_samples: int = 10
    max_samples: int = 1000
    time_limit_s: float = 2.0
    relative_noise: float = 0.005
    warmup_max_calls: int = 60
    warmup_time_limit_s: float = 1.0

    def __post_init__(self) -> None:
        if not 1 <= self.min_samples <= self.max_samples:
            raise InputError(
                f"min_samples={self.min_samples} and max_samples={self.max_samples} were given; "
                "1 <= min_samples <= max_samples is expected."
            )
        if self.warmup_max_calls < 1:
            raise InputError(f"warmup_max_calls={self.warmup_max_calls} was given; at least 1 is expected.")
        for name in ("time_limit_s", "warmup_time_limit_s"):
            given = getattr(self, name)
            if not (isfinite(given) and given > 0):
                raise InputError(f"{name}={given} was given; a positive, finite number of seconds is expected.")
        if not (isfinite(self.relative_noise) and self.relative_noise >= 0):
            raise InputError(f"relative_noise={self.relative_noise} was given; a finite share, 0 or more, is expected.")


@dataclass(frozen=True, slots=True)
class LatencySamples:
    """What a measurement saw.

    samples_s: seconds of each timed call, in time order, none removed. warmup_calls: calls before. stopped_because:
    ``noise``, ``count`` or ``time``.
    """

    samples_s: tuple[float, ...]
    warmup_calls: int
    stopped_because: str

    @property
    def median_s(self) -> float:
        """The median of the samples, in seconds."""
        return median(self.samples_s)


def measure_latency(
    call: Callable[[Argument], Output],
    *,
    prepare: Callable[[int], Argument],
    check: Callable[[int, Output], None],
    clock: Clock,
    policy: SamplePolicy,
    evict: Callable[[], None] | None = None,
) -> LatencySamples:
    """Time a call, sample by sample.

    A sample is ``t0 = now(); out = call(argument); t1 = now()`` and nothing else: before it, untimed, ``argument =
    prepare(i)`` and then ``evict()`` where caches are to be cold; after it, untimed, ``check(i, out)``, which raises
    when the output is wrong. Warm-up calls go through the same steps, with i counting on from them to the samples. The
    garbage collector is off.
    """
    steps = _Steps(call, prepare, check, clock, evict)
    with garbage_collector_off():
        warmup_calls = _warm_up(steps, policy, clock)
        samples_s, stopped_because = _sample(steps, policy, clock, warmup_calls)
    return LatencySamples(tuple(samples_s), warmup_calls, stopped_because)


class _Steps:
    """One sample: what is made ready before it, the timed call, the check after it."""

    __slots__ = ("_call", "_check", "_evict", "_now_s", "_prepare")

    def __init__(
        self,
        call: Callable[[Argument], Output],
        prepare: Callable[[int], Argument],
        check: Callable[[int, Output], None],
        clock: Clock,
        evict: Callable[[], None] | None,
    ) -> None:
        self._call: Callable[..., object] = call
        self._prepare: Callable[[int], object] = prepare
        self._check: Callable[..., None] = check
        self._now_s = clock.now_s
        self._evict = evict

    def time(self, index: int) -> float:
        call, now_s = self._call, self._now_s
        argument = self._prepare(index)
        if self._evict is not None:
            self._evict()
        start_s = now_s()
        out = call(argument)
        end_s = now_s()
        self._check(index, out)
        # ``out`` dies with this frame: its memory is given back before the next sample begins, untimed.
        return end_s - start_s


def _warm_up(steps: _Steps, policy: SamplePolicy, clock: Clock) -> int:
    """Call until a window of calls is no longer faster than the one before; returns the calls that were made."""
    started_s, taken_s = clock.now_s(), list[float]()
    while True:
        taken_s.append(steps.time(len(taken_s)))
        if is_steady(taken_s) or len(taken_s) >= policy.warmup_max_calls:
            return len(taken_s)
        if clock.now_s() - started_s >= policy.warmup_time_limit_s:
            return len(taken_s)


def is_steady(taken_s: list[float]) -> bool:
    """Whether the median of the last 3 calls is at most 5 % under that of the 3 before them."""
    if len(taken_s) < 2 * WINDOW:
        return False
    return median(taken_s[-WINDOW:]) >= (1 - STEADY) * median(taken_s[-2 * WINDOW : -WINDOW])


def _sample(steps: _Steps, policy: SamplePolicy, clock: Clock, first: int) -> tuple[list[float], str]:
    samples_s: list[float] = []
    started_s, next_look = clock.now_s(), policy.min_samples
    while True:
        samples_s.append(steps.time(first + len(samples_s)))
        count = len(samples_s)
        if count >= next_look:
            if relative_noise(samples_s) <= policy.relative_noise:
                return samples_s, "noise"
            # Looking sorts all samples, so it is done when a tenth is new; that keeps repeated looks few, too.
            next_look = count + max(count // 10, 1)
        if count >= policy.max_samples:
            return samples_s, "count"
        if clock.now_s() - started_s >= policy.time_limit_s:
            return samples_s, "time"


@contextmanager
def garbage_collector_off() -> Iterator[None]:
    """Collect once, and then keep the collector off; it is on again afterwards if it was before."""
    was_on = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
