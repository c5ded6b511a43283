"""The timing of a call by the clock that suits its device: the host's for a CPU, the device's for CUDA."""

from collections.abc import Callable
from typing import TypeVar

from capratio.measure.clock import PerfClock
from capratio.measure.cuda_device import current_device_uuid
from capratio.measure.cuda_latency import measure_device_latency
from capratio.measure.cuda_sampler import CudaSampler
from capratio.measure.latency import SamplePolicy, measure_latency
from capratio.measure.telemetry import Telemetry, open_telemetry
from capratio.records.record import Timing

Argument = TypeVar("Argument")
Output = TypeVar("Output")


def time_call(
    call: Callable[[Argument], Output],
    prepare: Callable[[int], Argument],
    check: Callable[[int, Output], None],
    policy: SamplePolicy,
    started_s: float,
    *,
    device: str = "cpu",
    cold: bool = False,
    evict: Callable[[], None] | None = None,
) -> Timing:
    """Time a call until the policy has enough.

    Args: call, prepare, check, policy: as ``measure_latency``'s. started_s: seconds since the run began. device: where
    the call runs. cold: whether a CUDA device's L2 is emptied before each sample. evict: what makes data cold on a CPU,
    None for a warm call.
    """
    if device == "cpu":
        on_host = measure_latency(call, prepare=prepare, check=check, clock=PerfClock(), policy=policy, evict=evict)
        return Timing(on_host.samples_s, on_host.warmup_calls, 0, on_host.stopped_because, started_s)
    sampler = CudaSampler(call, prepare=prepare, check=check, clock=PerfClock(), cold=cold)
    telemetry = open_telemetry(current_device_uuid())
    read_state = telemetry.read if isinstance(telemetry, Telemetry) else None
    on_device = measure_device_latency(sampler, policy, PerfClock(), read_state)
    return Timing(
        on_device.samples_s,
        on_device.warmup_calls,
        on_device.discarded_calls,
        on_device.stopped_because,
        started_s,
        on_device.device_samples_s,
        on_device.throttled,
    )
