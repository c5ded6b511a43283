"""Describe this machine to asv without asking, with its GPU and driver, which become parameters of every graph."""

from typing import Any

from asv.machine import Machine, MachineCollection, _get_unique_machine_name

from capratio.measure.telemetry import driver_version, gpu_names


def described() -> dict[str, Any]:
    """What asv finds by itself, and what it does not look for."""
    found: dict[str, Any] = Machine.get_defaults()
    gpus = ", ".join(gpu_names())
    return found | {"gpu": gpus or "none", "driver": driver_version() or "none"}


def main() -> None:
    """Write the description where asv looks for it."""
    name = _get_unique_machine_name()
    MachineCollection.save(name, described() | {"machine": name})
    print(f"asv knows this machine as {name}")


if __name__ == "__main__":
    main()
