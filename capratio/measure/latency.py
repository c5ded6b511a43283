"""How long a call takes: samples in the order of time, all of them kept, until their median is steady."""

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import inf, pi, sqrt
from statistics import median
from typing import TypeVar

from capratio.errors import InputError
from capratio.measure.clock import Clock

Argument = TypeVar("Argument")
Result = TypeVar("Result")

# Warm-up calls whose median is compared with that of as many calls before them: odd, so that a median is a call, and
# few, since a cold case may take seconds a call.
STEADY_WINDOW = 5
# Interquartile range of a normal distribution over its standard deviation, and the standard error of a median over
# that of a mean.
IQR_OVER_SIGMA = 1.349
MEDIAN_OVER_MEAN = sqrt(pi / 2)


@dataclass(frozen=True, slots=True)
class SamplePolicy:
    """When a process has sampled enough.

    min_samples, max_samples: counts. time_limit_s: of sampling, preparation included. relative_noise: standard error of
    the median over the median. max_warmup_calls: a count. warmup_time_limit_s: of warming up.

    Raises InputError for a count under 1 (0 warm-up calls are allowed), a maximum under the minimum, or a limit that is
    not positive.
    """

    min_samples: int = 10
    max_samples: int = 60
    time_limit_s: float = 1.5
    relative_noise: float = 0.005
    max_warmup_calls: int = 50
    warmup_time_limit_s: float = 1.0

    def __post_init__(self) -> None:
        if not 1 <= self.min_samples <= self.max_samples:
            raise InputError(
                f"min_samples={self.min_samples} and max_samples={self.max_samples} were given; at least 1 sample is "
                "needed, and max_samples must not be under min_samples."
            )
        if self.max_warmup_calls < 0:
            raise InputError(f"max_warmup_calls={self.max_warmup_calls} was given; it must be 0 or more.")
        for name in ("time_limit_s", "relative_noise", "warmup_time_limit_s"):
            if not getattr(self, name) > 0:
                raise InputError(f"{name}={getattr(self, name)} was given; it must be over 0.")


@dataclass(frozen=True, slots=True)
class LatencySamples:
    """What was timed.

    samples_s: in the order of time, none removed. warmup_calls: a count. stopped_because: ``noise``, ``count`` or
    ``time``.
    """

    samples_s: tuple[float, ...]
    warmup_calls: int
    stopped_because: str


def measure_latency(
    call: Callable[[Argument], Result],
    *,
    prepare: Callable[[int], Argument],
    check: Callable[[int, Result], None],
    clock: Clock,
    evict: Callable[[], None] | None = None,
    policy: SamplePolicy,
) -> LatencySamples:
    """Time a call again and again, and check what each one gave.

    Only ``call`` is timed. Warm-up calls are prepared, evicted and checked as samples are; the index of samples starts
    at 0 again. Warm-up ends once the median of the last calls is not under that of the calls before, or at a limit.
    Garbage is not collected while it runs.

    Args: call: takes what prepare gave. prepare: makes sample i ready. check: raises if the output of sample i is
    wrong. evict: empties the caches before each call. policy: when to stop.

    Raises whatever call, prepare, evict and check raise.
    """

    def sample(index: int) -> float:
        argument = prepare(index)
        if evict is not None:
            evict()
        started_s = clock.now_s()
        out = call(argument)
        ended_s = clock.now_s()
        check(index, out)
        return ended_s - started_s

    with _collected_garbage():
        warmup_calls = _warm_up(sample, clock, policy)
        samples_s, stopped_because = _sample(sample, clock, policy)
    return LatencySamples(tuple(samples_s), warmup_calls, stopped_because)


def relative_standard_error(samples_s: Sequence[float]) -> float:
    """The standard error of the median over the median, sqrt(pi / 2) sigma / sqrt(n) / median.

    sigma is the interquartile range over 1.349, which a few interrupted samples don't move; infinite for fewer than 4
    samples, which have no quartiles, or a median that is not over 0.
    """
    middle, ordered = median(samples_s), sorted(samples_s)
    if len(ordered) < 4 or middle <= 0:
        return inf
    half = len(ordered) // 2
    spread = median(ordered[-half:]) - median(ordered[:half])
    return MEDIAN_OVER_MEAN * spread / IQR_OVER_SIGMA / sqrt(len(ordered)) / middle


def _warm_up(sample: Callable[[int], float], clock: Clock, policy: SamplePolicy) -> int:
    started_s, calls_s = clock.now_s(), list[float]()
    while len(calls_s) < policy.max_warmup_calls and not _steady(calls_s):
        calls_s.append(sample(len(calls_s)))
        if clock.now_s() - started_s >= policy.warmup_time_limit_s:
            break
    return len(calls_s)


def _steady(calls_s: list[float]) -> bool:
    if len(calls_s) < 2 * STEADY_WINDOW:
        return False
    return median(calls_s[-STEADY_WINDOW:]) >= median(calls_s[-2 * STEADY_WINDOW : -STEADY_WINDOW])


def _sample(sample: Callable[[int], float], clock: Clock, policy: SamplePolicy) -> tuple[list[float], str]:
    started_s, samples_s = clock.now_s(), list[float]()
    while True:
        samples_s.append(sample(len(samples_s)))
        # The least number of samples is taken whatever the time, unless they could not be told from a hang: a case's
        # own limit ends those.
        if len(samples_s) < policy.min_samples:
            continue
        if relative_standard_error(samples_s) <= policy.relative_noise:
            return samples_s, "noise"
        if len(samples_s) >= policy.max_samples:
            return samples_s, "count"
        if clock.now_s() - started_s >= policy.time_limit_s:
            return samples_s, "time"


@contextmanager
def _collected_garbage() -> Iterator[None]:
    """Collect garbage now, and not again before the end."""
    enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
