"""The energy of a call on a GPU, from the device's own counter, and its clocks while it ran."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from capratio.measure.clock import Clock, PerfClock
from capratio.measure.cuda_device import current_device_uuid
from capratio.measure.telemetry import NoTelemetry, Telemetry, open_telemetry

# The counter steps about every 0.1 s, so that 1 s reads it to a tenth.
LEAST_TIME_S = 1.0
_NOT_A_GPU = "NVML measures GPUs only, and the call ran on the CPU"


@dataclass(frozen=True, slots=True)
class EnergyReading:
    """Energy of one call with the device's share of idle power in it, and the state right after the last call.

    Every number is None where ``absent_because`` says why.
    """

    energy_j: float | None = None
    sm_clock_hz: float | None = None
    temperature_c: float | None = None
    power_w: float | None = None
    throttle_reasons: tuple[str, ...] = ()
    absent_because: str | None = None


def measure_energy(
    call: Callable[[], object],
    calls: int,
    device: str = "cpu",
    *,
    telemetry: Telemetry | NoTelemetry | None = None,
    clock: Clock | None = None,
    synchronize: Callable[[], None] | None = None,
) -> EnergyReading:
    """Run a call at least ``calls`` times and for a second, and divide the energy that the device counted by the calls.

    Nothing runs where the device is the CPU or has no telemetry.

    Args: device: ``cpu`` or ``cuda``, where the call runs. telemetry, clock, synchronize: what is read and waited for;
    torch's current CUDA device, the system's clock and ``torch.cuda.synchronize`` without them.
    """
    if not device.startswith("cuda"):
        return EnergyReading(absent_because=_NOT_A_GPU)
    opened = telemetry if telemetry is not None else open_telemetry(current_device_uuid())
    if isinstance(opened, NoTelemetry):
        return EnergyReading(absent_because=opened.reason)
    wait, now_s = synchronize or torch.cuda.synchronize, (clock or PerfClock()).now_s
    wait()
    before, started_s, done = opened.read(), now_s(), 0
    while done < calls or now_s() - started_s < LEAST_TIME_S:
        call()
        wait()
        done += 1
    after = opened.read()
    counted = before.energy_j is not None and after.energy_j is not None
    return EnergyReading(
        energy_j=(after.energy_j - before.energy_j) / done if counted else None,  # type: ignore[operator]
        sm_clock_hz=after.sm_clock_hz,
        temperature_c=after.temperature_c,
        power_w=after.power_w,
        throttle_reasons=after.throttle_reasons,
        absent_because=None if counted else f"{after.name} does not count its energy",
    )
