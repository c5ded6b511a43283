"""What a GPU says of itself through NVML: clocks, temperature, power, energy, memory, and why it is throttled."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

Answer = TypeVar("Answer")

# Under this share of its highest SM clock a device is throttled, and a time that it gives is not kept.
THROTTLED_SHARE = 0.75

# Bits of NVML's clock event reasons. Idle (1) and the clocks that an application asks for (2) are no throttling.
THROTTLE_REASONS = {
    0x4: "power cap",
    0x8: "hardware slowdown",
    0x10: "sync boost",
    0x20: "software thermal slowdown",
    0x40: "hardware thermal slowdown",
    0x80: "hardware power brake",
    0x100: "display clocks",
}


@dataclass(frozen=True, slots=True)
class GpuState:
    """One reading. energy_j: since the driver was loaded, None where the device does not count it."""

    name: str
    sm_clock_hz: float
    max_sm_clock_hz: float
    temperature_c: float
    power_w: float | None
    energy_j: float | None
    used_bytes: int
    throttle_reasons: tuple[str, ...]

    @property
    def throttled(self) -> bool:
        """Whether the SM clock is under 75 % of its highest."""
        return self.sm_clock_hz < THROTTLED_SHARE * self.max_sm_clock_hz


@dataclass(frozen=True, slots=True)
class NoTelemetry:
    """There is none, and why, in one sentence's part."""

    reason: str


class Telemetry:
    """One device read through a module with NVML's functions."""

    def __init__(self, nvml: Any, device: int | str) -> None:
        """nvml: the module ``pynvml`` after its ``nvmlInit``. device: as ``open_telemetry``'s."""
        self._nvml = nvml
        by_uuid = isinstance(device, str)
        self._handle = (nvml.nvmlDeviceGetHandleByUUID if by_uuid else nvml.nvmlDeviceGetHandleByIndex)(device)

    def read(self) -> GpuState:
        """The state of the device now."""
        nvml, handle = self._nvml, self._handle
        return GpuState(
            name=_text(nvml.nvmlDeviceGetName(handle)),
            sm_clock_hz=1e6 * nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM),
            max_sm_clock_hz=1e6 * nvml.nvmlDeviceGetMaxClockInfo(handle, nvml.NVML_CLOCK_SM),
            temperature_c=float(nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU)),
            power_w=self._milli(nvml.nvmlDeviceGetPowerUsage),
            energy_j=self._milli(nvml.nvmlDeviceGetTotalEnergyConsumption),
            used_bytes=int(nvml.nvmlDeviceGetMemoryInfo(handle).used),
            throttle_reasons=_named(self._throttle_bits()),
        )

    def _milli(self, ask: Callable[[Any], int]) -> float | None:
        try:
            return ask(self._handle) / 1e3
        except self._nvml.NVMLError:
            return None

    def _throttle_bits(self) -> int:
        try:
            return int(self._nvml.nvmlDeviceGetCurrentClocksThrottleReasons(self._handle))
        except self._nvml.NVMLError:
            return 0


def open_telemetry(device: int | str = 0, load: Callable[[], Any] | None = None) -> Telemetry | NoTelemetry:
    """The telemetry of a device, or why there is none.

    Args: device: its number as NVML counts, or its UUID: torch counts only the devices that CUDA_VISIBLE_DEVICES
    leaves, so that what torch runs on is named by its UUID (``capratio.measure.cuda_device``). load: gives the module
    with NVML's functions; ``pynvml`` is imported without one.
    """
    try:
        nvml = load() if load is not None else importlib.import_module("pynvml")
    except ImportError:
        return NoTelemetry("the module pynvml of nvidia-ml-py is not installed")
    try:
        nvml.nvmlInit()
        if isinstance(device, int) and device >= nvml.nvmlDeviceGetCount():
            return NoTelemetry(f"NVML finds no GPU number {device}")
        opened = Telemetry(nvml, device)
        # A device may lack a sensor that a state needs; that is known here, not in the middle of a measurement.
        opened.read()
        return opened
    except nvml.NVMLError as error:
        return NoTelemetry(f"NVML does not answer ({error})")


def gpu_names(load: Callable[[], Any] | None = None) -> tuple[str, ...]:
    """The names of all GPUs that NVML finds, none where it is not there.

    Only names are asked for: a GPU whose clocks or memory cannot be read is a part of the machine all the same.
    """

    def names(nvml: Any) -> tuple[str, ...]:
        handles = [nvml.nvmlDeviceGetHandleByIndex(index) for index in range(nvml.nvmlDeviceGetCount())]
        return tuple(_text(nvml.nvmlDeviceGetName(handle)) for handle in handles)

    return _asked(names, load) or ()


def driver_version(load: Callable[[], Any] | None = None) -> str | None:
    """The version of NVIDIA's driver, None where NVML is not there."""
    return _asked(lambda nvml: _text(nvml.nvmlSystemGetDriverVersion()), load)


def _asked(question: Callable[[Any], Answer], load: Callable[[], Any] | None) -> Answer | None:
    """What NVML answers, or None where it is not there."""
    try:
        nvml = load() if load is not None else importlib.import_module("pynvml")
    except ImportError:
        return None
    try:
        nvml.nvmlInit()
        return question(nvml)
    except nvml.NVMLError:
        return None


def _text(name: str | bytes) -> str:
    # Older versions of the module give bytes.
    return name.decode() if isinstance(name, bytes) else name


def _named(bits: int) -> tuple[str, ...]:
    return tuple(name for bit, name in THROTTLE_REASONS.items() if bits & bit)
