"""Device latency: at least 10 samples, wall and device time apart, throttled ones discarded but never all."""

from collections.abc import Callable, Iterator
from itertools import count, repeat
from typing import Any

import pytest
import torch

from capratio.errors import InputError
from capratio.measure.clock import PerfClock
from capratio.measure.cuda_latency import DeviceSamples, measure_device_latency
from capratio.measure.cuda_sampler import CudaSampler, blocking_cycles
from capratio.measure.latency import SamplePolicy
from capratio.measure.telemetry import GpuState

COOL = GpuState("GPU", 2.0e9, 2.0e9, 40.0, 300.0, None, 0, ())
HOT = GpuState("GPU", 1.4e9, 2.0e9, 90.0, 300.0, None, 0, ("hardware thermal slowdown",))


class FakeDevice:
    """Works for the seconds that a test gives, and takes twice that by the wall clock."""

    def __init__(self, clock: Any, device_s: Iterator[float]) -> None:
        self.clock, self.device_s, self.indices = clock, device_s, list[int]()

    def sample(self, index: int) -> tuple[float, float]:
        self.indices.append(index)
        device_s = next(self.device_s)
        self.clock.pass_s(2 * device_s)
        return 2 * device_s, device_s


@pytest.fixture
def measure(clock: Any) -> Callable[..., DeviceSamples]:
    def run(
        device_s: Iterator[float],
        policy: SamplePolicy,
        states: Iterator[GpuState] | None = None,
        max_discarded: int | None = None,
    ) -> DeviceSamples:
        read_state = None if states is None else lambda: next(states)
        return measure_device_latency(FakeDevice(clock, device_s), policy, clock, read_state, max_discarded)

    return run


def long(**changes: Any) -> SamplePolicy:
    return SamplePolicy(
        **{"min_samples": 1, "max_samples": 50, "time_limit_s": 1e9, "warmup_time_limit_s": 1e9, **changes}
    )


def rising() -> Iterator[float]:
    """A device that gets slower for ever, so that it is steady at once and never quiet."""
    return (1.0 + number for number in count())


def test_quiet_samples_stop_after_ten_though_the_policy_asks_for_fewer(measure: Callable[..., DeviceSamples]) -> None:
    samples = measure(repeat(1.0), long())

    assert (10, "noise", 0, False) == (
        len(samples.samples_s),
        samples.stopped_because,
        samples.discarded_calls,
        samples.throttled,
    )


def test_wall_and_device_time_are_kept_apart_and_in_the_order_of_time(measure: Callable[..., DeviceSamples]) -> None:
    samples = measure(rising(), long(max_samples=12))

    assert tuple(float(value) for value in range(7, 19)) == samples.device_samples_s
    assert tuple(2.0 * value for value in range(7, 19)) == samples.samples_s
    assert 6 == samples.warmup_calls
    assert "count" == samples.stopped_because


def test_the_time_limit_stops_noisy_samples_but_not_under_ten(measure: Callable[..., DeviceSamples]) -> None:
    samples = measure(rising(), long(time_limit_s=0.001))

    assert (10, "time") == (len(samples.samples_s), samples.stopped_because)


def test_a_throttled_block_is_discarded_and_counted(measure: Callable[..., DeviceSamples]) -> None:
    device_s = iter([1.0] * 6 + [9.0] * 10 + [1.0] * 10)

    samples = measure(device_s, long(), iter([HOT, COOL]))

    assert (1.0,) * 10 == samples.device_samples_s
    assert (10, False) == (samples.discarded_calls, samples.throttled)
    assert (HOT, COOL) == samples.states


def test_a_device_that_always_throttles_still_has_a_time_that_is_marked(measure: Callable[..., DeviceSamples]) -> None:
    samples = measure(repeat(1.0), long(), repeat(HOT), max_discarded=25)

    assert 20 == samples.discarded_calls
    assert (10, True) == (len(samples.samples_s), samples.throttled)


def test_discarding_ends_with_the_time_limit(measure: Callable[..., DeviceSamples]) -> None:
    # A block takes 20 s by the wall clock: the third one ends after the limit.
    samples = measure(repeat(1.0), long(time_limit_s=50.0), repeat(HOT), max_discarded=10**6)

    assert (20, 10, True) == (samples.discarded_calls, len(samples.samples_s), samples.throttled)


def test_samples_are_prepared_in_turn_discarded_ones_too(clock: Any) -> None:
    device = FakeDevice(clock, repeat(1.0))
    states = iter([HOT, COOL])

    measure_device_latency(device, long(), clock, lambda: next(states))

    assert list(range(26)) == device.indices


def test_without_telemetry_nothing_is_discarded(measure: Callable[..., DeviceSamples]) -> None:
    samples = measure(repeat(1.0), long(), None)

    assert ((), 0) == (samples.states, samples.discarded_calls)


def test_another_way_to_launch_is_refused() -> None:
    with pytest.raises(InputError, match=r"launch='eager' is not known.*blocking-kernel, graph"):
        CudaSampler(
            lambda x: x, prepare=lambda i: i, check=lambda i, o: None, clock=PerfClock(), cold=False, launch="eager"
        )


@pytest.mark.parametrize(
    ("launched_s", "block_s"),
    # Twice the launches; never under 0.5 ms, and never over 50 ms.
    [(0.0, 5e-4), (1e-4, 5e-4), (1e-3, 2e-3), (1e-2, 2e-2), (1.0, 5e-2)],
)
def test_a_blocking_kernel_outlasts_the_launches(launched_s: float, block_s: float) -> None:
    assert block_s == pytest.approx(blocking_cycles(launched_s) / 3e9)


@pytest.mark.cuda
@pytest.mark.parametrize("launch", ["blocking-kernel", "graph"])
@pytest.mark.parametrize("cold", [False, True])
def test_device_time_of_a_product_lies_under_its_wall_time_and_in_reach_of_its_flop(launch: str, cold: bool) -> None:
    x = torch.randn(4096, 4096, device="cuda")
    expected = x @ x

    def check(index: int, out: torch.Tensor) -> None:
        assert torch.equal(expected, out)

    sampler = CudaSampler(
        lambda left: left @ x, prepare=lambda _: x, check=check, clock=PerfClock(), cold=cold, launch=launch
    )
    samples = measure_device_latency(sampler, SamplePolicy(time_limit_s=3.0), PerfClock(), None)

    device_s = sorted(samples.device_samples_s)[len(samples.device_samples_s) // 2]
    assert device_s <= sorted(samples.samples_s)[len(samples.samples_s) // 2]
    # No device makes 10^16 FLOP a second in float32, and none that is used here under 10^12.
    assert 1e12 < 2 * 4096**3 / device_s < 1e16
