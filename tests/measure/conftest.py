"""A clock and a GPU that tests move by hand."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest


class FakeClock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.time_s = 0.0

    def now_s(self) -> float:
        return self.time_s

    def pass_s(self, seconds: float) -> None:
        self.time_s += seconds


class FakeNvml:
    """A module with NVML's functions for devices that tests describe."""

    NVML_CLOCK_SM, NVML_TEMPERATURE_GPU = 1, 0

    class NVMLError(Exception):
        """What NVML raises."""

    def __init__(self, names: list[str], **state: Any) -> None:
        self.names = names
        self.sm_mhz, self.max_mhz = state.get("sm_mhz", 1900), state.get("max_mhz", 2000)
        self.bits, self.energy_mj = state.get("bits", 0), state.get("energy_mj", 5_000)
        self.fails = state.get("fails", ())

    def nvmlInit(self) -> None:
        self._may_fail("init")

    def nvmlSystemGetDriverVersion(self) -> bytes:
        return b"580.1"

    def nvmlDeviceGetCount(self) -> int:
        return len(self.names)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:
        return index

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> int:
        return next(index for index in range(len(self.names)) if uuid == f"GPU-{index}")

    def nvmlDeviceGetName(self, handle: int) -> bytes:
        return self.names[handle].encode()

    def nvmlDeviceGetClockInfo(self, handle: int, kind: int) -> int:
        self._may_fail("clock")
        return int(self.sm_mhz)

    def nvmlDeviceGetMaxClockInfo(self, handle: int, kind: int) -> int:
        return int(self.max_mhz)

    def nvmlDeviceGetTemperature(self, handle: int, kind: int) -> int:
        return 55

    def nvmlDeviceGetPowerUsage(self, handle: int) -> int:
        self._may_fail("power")
        return 300_000

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: int) -> int:
        self._may_fail("energy")
        return int(self.energy_mj)

    def nvmlDeviceGetMemoryInfo(self, handle: int) -> SimpleNamespace:
        self._may_fail("memory")
        return SimpleNamespace(used=7 * 2**30)

    def nvmlDeviceGetCurrentClocksThrottleReasons(self, handle: int) -> int:
        self._may_fail("reasons")
        return int(self.bits)

    def _may_fail(self, what: str) -> None:
        if what in self.fails:
            raise self.NVMLError(f"{what} is not there")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def fake_nvml() -> Callable[..., FakeNvml]:
    return FakeNvml
