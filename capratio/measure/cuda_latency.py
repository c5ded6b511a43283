"""Latency of a call on a CUDA device: device time and wall time kept apart, throttled samples discarded up to a cap."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from capratio.measure.clock import Clock
from capratio.measure.latency import SamplePolicy, garbage_collector_off, is_steady
from capratio.measure.noise import relative_noise
from capratio.measure.telemetry import GpuState

# A device is never judged by fewer samples, whatever the policy says.
LEAST_SAMPLES = 10
# Samples between two readings of the clocks: a reading takes about a millisecond, and a device throttles for longer.
BLOCK = 10


class DeviceSampler(Protocol):
    """Runs one sample on a device."""

    def sample(self, index: int) -> tuple[float, float]:
        """Make sample ``index`` ready, run it and check it; returns (wall seconds, device seconds)."""


@dataclass(frozen=True, slots=True)
class DeviceSamples:
    """What a measurement of a device saw, in time order.

    samples_s: wall seconds from the launch to the end of the call, with its launch gaps. device_samples_s: seconds that
    the device worked, without them. warmup_calls: calls before. discarded_calls: throttled ones that were thrown away.
    throttled: whether throttled samples are among those that were kept. stopped_because: ``noise`` (of the device
    time), ``count`` or ``time``. states: the device after each block of samples, discarded ones too.
    """

    samples_s: tuple[float, ...]
    device_samples_s: tuple[float, ...]
    warmup_calls: int
    discarded_calls: int
    throttled: bool
    stopped_because: str
    states: tuple[GpuState, ...]


def measure_device_latency(
    sampler: DeviceSampler,
    policy: SamplePolicy,
    clock: Clock,
    read_state: Callable[[], GpuState] | None,
    max_discarded: int | None = None,
) -> DeviceSamples:
    """Take samples in blocks and read the device's state after each.

    A block after which the SM clock is under 75 % of its highest is discarded, until ``max_discarded`` samples are or
    the time limit is reached; from then on it is kept and marked, so that a device that always throttles has a time
    too. At least 10 samples are kept, even beyond the time limit.

    Args: read_state: the device's telemetry, or None without one (nothing is then discarded). max_discarded: as many as
    the policy's largest number of samples without it.
    """
    cap = policy.max_samples if max_discarded is None else max_discarded
    with garbage_collector_off():
        warmup_calls = _warm_up(sampler, policy, clock)
        kept: list[tuple[float, float]] = []
        states: list[GpuState] = []
        discarded, throttled, started_s = 0, False, clock.now_s()
        while True:
            first, wanted = warmup_calls + discarded + len(kept), max(policy.max_samples, LEAST_SAMPLES) - len(kept)
            block = [sampler.sample(first + offset) for offset in range(min(BLOCK, wanted))]
            late = clock.now_s() - started_s >= policy.time_limit_s
            if read_state is not None:
                states.append(read_state())
            if states and states[-1].throttled:
                if discarded + len(block) <= cap and not late:
                    discarded += len(block)
                    continue
                throttled = True
            kept += block
            stopped_because = _stopped(kept, policy, late)
            if stopped_because is not None:
                break
    walls, devices = zip(*kept, strict=True)
    return DeviceSamples(walls, devices, warmup_calls, discarded, throttled, stopped_because, tuple(states))


def _warm_up(sampler: DeviceSampler, policy: SamplePolicy, clock: Clock) -> int:
    taken_s: list[float] = []
    started_s = clock.now_s()
    while True:
        taken_s.append(sampler.sample(len(taken_s))[1])
        if is_steady(taken_s) or len(taken_s) >= policy.warmup_max_calls:
            return len(taken_s)
        if clock.now_s() - started_s >= policy.warmup_time_limit_s:
            return len(taken_s)


def _stopped(kept: list[tuple[float, float]], policy: SamplePolicy, late: bool) -> str | None:
    if len(kept) < LEAST_SAMPLES:
        return None
    if len(kept) >= policy.min_samples and relative_noise([device for _, device in kept]) <= policy.relative_noise:
        return "noise"
    if len(kept) >= policy.max_samples:
        return "count"
    return "time" if late else None
