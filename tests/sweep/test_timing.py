"""Which clock times a call, with stand-ins for the CUDA device."""

from collections.abc import Callable
from typing import Any

import pytest

from capratio.measure.latency import SamplePolicy
from capratio.measure.telemetry import GpuState, NoTelemetry, Telemetry
from capratio.records.record import Timing
from capratio.sweep import timing
from capratio.sweep.timing import time_call

POLICY = SamplePolicy(min_samples=3, max_samples=10, time_limit_s=5.0)
HOT = GpuState("GPU", 1.0e9, 2.0e9, 90.0, 300.0, None, 0, ("hardware thermal slowdown",))


class FakeSampler:
    """A device that works for 1 ms of a call's 3 ms."""

    made: list[dict[str, Any]]

    def __init__(self, call: Callable[..., object], **given: Any) -> None:
        self.made.append(given)

    def sample(self, index: int) -> tuple[float, float]:
        return 3e-3, 1e-3


class HotTelemetry(Telemetry):
    """A device whose clock is always low."""

    def __init__(self) -> None:
        pass

    def read(self) -> GpuState:
        return HOT


@pytest.fixture
def on_cuda(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Timing]:
    monkeypatch.setattr(FakeSampler, "made", [], raising=False)
    monkeypatch.setattr(timing, "CudaSampler", FakeSampler)
    monkeypatch.setattr(timing, "current_device_uuid", lambda: "GPU-1")

    def run(telemetry: Telemetry | NoTelemetry, cold: bool = False) -> Timing:
        monkeypatch.setattr(timing, "open_telemetry", lambda device: telemetry)
        return time_call(lambda x: x, lambda i: i, lambda i, out: None, POLICY, 1.5, device="cuda", cold=cold)

    return run


def test_a_cuda_call_has_device_and_wall_times_and_its_latency_is_the_devices(on_cuda: Callable[..., Timing]) -> None:
    timed = on_cuda(NoTelemetry("there is none"))

    assert timed.device_samples_s is not None
    assert {3e-3} == set(timed.samples_s)
    assert {1e-3} == set(timed.device_samples_s)
    assert (1e-3, 1.5, False) == (timed.latency_s, timed.started_s, timed.throttled)


@pytest.mark.parametrize("cold", [True, False])
def test_a_cold_cuda_call_empties_the_devices_cache(on_cuda: Callable[..., Timing], cold: bool) -> None:
    on_cuda(NoTelemetry("there is none"), cold=cold)

    assert [cold] == [given["cold"] for given in FakeSampler.made]


def test_times_of_a_device_that_always_throttles_are_marked(on_cuda: Callable[..., Timing]) -> None:
    timed = on_cuda(HotTelemetry())

    assert timed.throttled
    assert timed.discarded_calls > 0


def test_a_cpu_call_has_the_hosts_times_alone() -> None:
    timed = time_call(lambda x: x, lambda i: i, lambda i, out: None, POLICY, 0.0)

    assert timed.device_samples_s is None
    assert 3 <= len(timed.samples_s) <= 10


def test_a_cold_cpu_call_evicts_before_each_sample_and_each_warm_up_call() -> None:
    evicted: list[int] = []

    timed = time_call(lambda x: x, lambda i: i, lambda i, out: None, POLICY, 0.0, evict=lambda: evicted.append(1))

    assert timed.warmup_calls + len(timed.samples_s) == len(evicted)
