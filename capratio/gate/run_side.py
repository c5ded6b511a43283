"""A side from a run of ours: one process a replicate, exact integers, and the ceilings of the machine while it ran."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from capratio.gate.sides import Series, Side
from capratio.records.record import Record
from capratio.records.store import Run, read_run


def read_run_side(path: Path) -> Side:
    """The side that a run's folder holds.

    Raises InputError as ``capratio.records.store.read_run``.
    """
    run = read_run(path)
    cases: dict[str, list[Record]] = {}
    for record in run.records:
        cases.setdefault(record.case, []).append(record)
    limits = {case: next((r.limit for r in records if r.limit is not None), None) for case, records in cases.items()}
    return Side(
        name=str(path),
        kind="run",
        machine=_machine(run),
        commit=str(run.machine["commit"]) if run.machine.get("commit") else None,
        series={case: _series(records) for case, records in cases.items()},
        ceilings={
            case: (limit.bandwidth_bytes_per_s, limit.flop_per_s) for case, limit in limits.items() if limit is not None
        },
    )


def _machine(run: Run) -> Mapping[str, object]:
    identity = run.machine.get("identity")
    machine = identity.get("machine") if isinstance(identity, dict) else None
    return machine if isinstance(machine, dict) else {}


def _series(records: Sequence[Record]) -> Series:
    measured = [record for record in records if record.timing is not None]
    failed = next((f"{record.status}: {record.reason}" for record in records if not record.measured), None)
    return Series(
        latencies_s=tuple(record.timing.latency_s for record in measured if record.timing is not None),
        processes=True,
        exact=_exact(measured[0]) if measured else {},
        failed=None if measured else failed,
    )


def _exact(record: Record) -> dict[str, int]:
    counts = {} if record.exact is None else record.exact.counts
    peak_bytes = None if record.memory is None else record.memory.allocated_peak_bytes
    return counts if peak_bytes is None else counts | {"allocated_peak_bytes": peak_bytes}
