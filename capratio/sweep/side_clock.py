"""The gate's clock, one for both sides. It must import neither layers nor kernels: those are the side's."""

import gc
import time
from collections.abc import Callable, Mapping
from math import ceil
from statistics import median
from typing import Any

from capratio.measure.latency import SamplePolicy
from capratio.sweep.parent import die_with_parent
from capratio.sweep.timing import time_call

__all__ = ["die_with_parent", "keep_garbage", "median_s", "samples_s", "slowed"]


def samples_s(
    ready: Any, call: Callable[[Any], Any], sampling: Mapping[str, Any], rounds: int
) -> tuple[list[float], bool]:
    """Seconds of each timed call, on CUDA of the device: the share of one round; and whether its clock was low.

    As many samples as there is time for, whatever their noise: that a series looks quiet must not end it.

    Args: ready: a ``ReadyCase`` of any commit that speaks the protocol. call: its call, or one around it. sampling:
    min_samples, max_samples and time_limit_s of all rounds. rounds: their number.

    Raises what the case's check raises.
    """
    policy = SamplePolicy(
        min_samples=ceil(sampling["min_samples"] / rounds),
        max_samples=ceil(sampling["max_samples"] / rounds),
        time_limit_s=sampling["time_limit_s"] / rounds,
        relative_noise=0.0,
    )
    timing = time_call(
        call, ready.prepare, ready.check, policy, 0.0, device=ready.device, cold=ready.cold, evict=ready.evict
    )
    return list(timing.device_samples_s or timing.samples_s), timing.throttled


def keep_garbage() -> None:
    """Collect what is garbage now, and never look again at what is left: each series of samples begins with a look."""
    gc.collect()
    gc.freeze()


def median_s(call: Callable[[], object], samples: int) -> float:
    """Median of a warm call, in seconds."""
    policy = SamplePolicy(samples, samples)
    timing = time_call(lambda _: call(), lambda _: None, lambda _, __: None, policy, 0.0)
    return median(timing.samples_s)


def slowed(call: Callable[[Any], Any], share: float) -> Callable[[Any], Any]:
    """A call that then spins for a share of the time that it took: a slowdown of known size, to test a gate with.

    It is the host that spins: what a device takes stays as it was.
    """

    def slow(argument: Any) -> Any:
        started_s = time.perf_counter()
        out = call(argument)
        end_s = started_s + (time.perf_counter() - started_s) * (1 + share)
        while time.perf_counter() < end_s:
            pass
        return out

    return slow
