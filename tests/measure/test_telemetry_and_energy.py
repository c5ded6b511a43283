"""A GPU's state is read in base units, energy is divided by calls, and what is not there has its reason."""

from collections.abc import Callable
from typing import Any

import pytest

from capratio.measure import machine
from capratio.measure.energy import measure_energy
from capratio.measure.telemetry import GpuState, NoTelemetry, Telemetry, driver_version, gpu_names, open_telemetry


def telemetry(nvml: Any) -> Telemetry:
    opened = open_telemetry(0, lambda: nvml)
    assert isinstance(opened, Telemetry)
    return opened


def test_a_state_is_in_base_units(fake_nvml: Callable[..., Any]) -> None:
    state = telemetry(fake_nvml(["GPU A"])).read()

    assert GpuState("GPU A", 1.9e9, 2.0e9, 55.0, 300.0, 5.0, 7 * 2**30, ()) == state


def test_a_device_is_found_by_its_uuid(fake_nvml: Callable[..., Any]) -> None:
    opened = open_telemetry("GPU-1", lambda: fake_nvml(["GPU A", "GPU B"]))

    assert isinstance(opened, Telemetry)
    assert "GPU B" == opened.read().name


@pytest.mark.parametrize("sm_mhz, throttled", [(1499, True), (1500, False), (2000, False)])
def test_under_three_quarters_of_its_highest_clock_a_device_is_throttled(
    fake_nvml: Callable[..., Any], sm_mhz: int, throttled: bool
) -> None:
    assert throttled is telemetry(fake_nvml(["GPU A"], sm_mhz=sm_mhz)).read().throttled


def test_throttle_reasons_are_named_and_idling_is_none(fake_nvml: Callable[..., Any]) -> None:
    state = telemetry(fake_nvml(["GPU A"], bits=0x1 | 0x4 | 0x40)).read()

    assert ("power cap", "hardware thermal slowdown") == state.throttle_reasons


def test_numbers_that_a_device_does_not_give_are_none(fake_nvml: Callable[..., Any]) -> None:
    state = telemetry(fake_nvml(["GPU A"], fails=("power", "energy", "reasons"))).read()

    assert (None, None, ()) == (state.power_w, state.energy_j, state.throttle_reasons)


def missing() -> Any:
    raise ImportError("no module")


def test_telemetry_that_is_not_there_has_its_reason(fake_nvml: Callable[..., Any]) -> None:
    opened = [
        open_telemetry(0, missing),
        open_telemetry(0, lambda: fake_nvml([], fails=("init",))),
        open_telemetry(1, lambda: fake_nvml(["GPU A"])),
    ]

    reasons = [one.reason for one in opened if isinstance(one, NoTelemetry)]
    assert 3 == len(reasons)
    assert "nvidia-ml-py" in reasons[0]
    assert "init is not there" in reasons[1]
    assert "number 1" in reasons[2]


def test_all_gpus_are_named(fake_nvml: Callable[..., Any]) -> None:
    assert ("GPU A", "GPU B") == gpu_names(lambda: fake_nvml(["GPU A", "GPU B"]))
    assert () == gpu_names(missing)


@pytest.mark.parametrize("sensor", ["clock", "memory"])
def test_a_gpu_that_lacks_a_sensor_has_a_name_and_a_reason_for_no_telemetry(
    fake_nvml: Callable[..., Any], sensor: str
) -> None:
    nvml = fake_nvml(["GPU A"], fails=(sensor,))

    opened = open_telemetry(0, lambda: nvml)

    assert NoTelemetry(f"NVML does not answer ({sensor} is not there)") == opened
    assert ("GPU A",) == gpu_names(lambda: nvml)


def test_names_that_nvml_does_not_give_are_none(fake_nvml: Callable[..., Any]) -> None:
    assert () == gpu_names(lambda: fake_nvml(["GPU A"], fails=("init",)))


def test_the_driver_is_named_or_none(fake_nvml: Callable[..., Any]) -> None:
    assert "580.1" == driver_version(lambda: fake_nvml(["GPU A"]))
    assert driver_version(lambda: fake_nvml(["GPU A"], fails=("init",))) is None
    assert driver_version(missing) is None


def test_the_description_of_a_machine_says_why_it_has_no_telemetry(
    monkeypatch: pytest.MonkeyPatch, fake_nvml: Callable[..., Any]
) -> None:
    monkeypatch.setattr(machine, "open_telemetry", lambda: NoTelemetry("there is none"))
    without = machine.describe_machine()
    monkeypatch.setattr(machine, "open_telemetry", lambda: telemetry(fake_nvml(["GPU A"])))
    with_one = machine.describe_machine()

    assert "there is none" == without["gpu_telemetry_absent_because"]
    assert with_one["gpu_telemetry_absent_because"] is None


def test_energy_is_the_devices_count_over_the_calls(fake_nvml: Callable[..., Any], clock: Any) -> None:
    nvml = fake_nvml(["GPU A"])

    def call() -> None:
        # 300 W for a quarter of a second.
        clock.pass_s(0.25)
        nvml.energy_mj += 75_000

    reading = measure_energy(call, 3, "cuda", telemetry=telemetry(nvml), clock=clock, synchronize=lambda: None)

    # A second takes 4 calls, though 3 were asked for.
    assert 75.0 == reading.energy_j
    assert 1.0 == clock.now_s()
    assert (1.9e9, 55.0, 300.0, None) == (
        reading.sm_clock_hz,
        reading.temperature_c,
        reading.power_w,
        reading.absent_because,
    )


def test_as_many_calls_are_made_as_were_asked_for(fake_nvml: Callable[..., Any], clock: Any) -> None:
    calls: list[int] = []

    def call() -> None:
        calls.append(1)
        clock.pass_s(2.0)

    measure_energy(call, 3, "cuda", telemetry=telemetry(fake_nvml(["A"])), clock=clock, synchronize=lambda: None)

    assert 3 == len(calls)


def test_the_device_is_waited_for_before_it_is_read(fake_nvml: Callable[..., Any], clock: Any) -> None:
    log: list[str] = []

    def call() -> None:
        log.append("call")
        clock.pass_s(2.0)

    measure_energy(
        call, 1, "cuda", telemetry=telemetry(fake_nvml(["A"])), clock=clock, synchronize=lambda: log.append("wait")
    )

    assert ["wait", "call", "wait"] == log


def test_a_device_that_counts_no_energy_says_so_and_shows_its_clocks(fake_nvml: Callable[..., Any], clock: Any) -> None:
    reading = measure_energy(
        lambda: clock.pass_s(1.0),
        1,
        "cuda",
        telemetry=telemetry(fake_nvml(["GPU A"], fails=("energy",))),
        clock=clock,
        synchronize=lambda: None,
    )

    assert reading.energy_j is None
    assert "GPU A does not count its energy" == reading.absent_because
    assert 1.9e9 == reading.sm_clock_hz


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_without_a_gpu_nothing_runs_and_the_reason_is_given(device: str) -> None:
    def call() -> None:
        raise AssertionError("the call ran")

    reading = measure_energy(call, 1, device, telemetry=NoTelemetry("there is none"))

    assert reading.energy_j is None
    assert ("the call ran on the CPU" if device == "cpu" else "there is none") in str(reading.absent_because)
