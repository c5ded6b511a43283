"""Runs and foreign result files, as small as they can be."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from capratio.records.record import Exact, Limit, Memory, Point, Record, Timing
from capratio.records.store import RecordWriter, write_machine

POINT = Point("dense", "path", 4, 3, 0, 1, "float32", "cpu", "forward", "warm", "text", "uniform", "reference", 1)
MACHINE = {"cpu_model": "a processor", "cores": 2}
Latencies = Mapping[str, Sequence[float | None]]


def exact(**given: Any) -> Exact:
    """The integers of a case, as given."""
    fields: dict[str, Any] = dict.fromkeys(Exact.__dataclass_fields__)
    counts = {"routing_operations": 0, "parameters": 15, "weight_parameters": 12, "op_bytes": 100}
    lasting = {"sampled_levels": None, "flop_is_lower_bound": False, "unknown_operations": ()}
    return Exact(**(fields | counts | lasting | {"flop": {"product": 24, "bias": 3}} | given))


def write_run(
    path: Path,
    latencies_s: Latencies,
    *,
    integers: Exact | None = None,
    machine: Mapping[str, object] = MACHINE,
    bandwidth: float = 1e10,
    flop_per_s: float = 1e11,
) -> Path:
    """A run with one process for each latency of a case; None for a process that failed."""
    write_machine(path, {"identity": {"machine": dict(machine)}, "commit": path.name * 20})
    with RecordWriter(path) as writer:
        for case, values in latencies_s.items():
            for replicate, latency_s in enumerate(values):
                writer.write(_record(case, replicate, latency_s, integers or exact(), bandwidth, flop_per_s))
    return path


def _record(
    case: str, replicate: int, latency_s: float | None, integers: Exact, bandwidth: float, flop_per_s: float
) -> Record:
    measured = latency_s is not None
    return Record(
        case=case,
        replicate=replicate,
        block=replicate,
        suite="gate",
        group="all",
        claims=(),
        status="measured" if measured else "crashed",
        reason=None if measured else "the worker was killed",
        started_at="2026-05-04T10:00:00+00:00",
        point=POINT,
        exact=integers if measured else None,
        timing=None if latency_s is None else Timing((latency_s,), 1, 0, "count", 0.0),
        memory=Memory(60, 12, None, None, None, {}) if measured else None,
        limit=Limit(1e-6, "memory", bandwidth, flop_per_s, 0.01) if measured else None,
    )


@pytest.fixture
def integers() -> Callable[..., Exact]:
    """Makes the integers of a case, as ``exact``."""
    return exact


@pytest.fixture
def run_writer(tmp_path: Path) -> Callable[..., Path]:
    """Writes a run under a name, as ``write_run``."""
    return lambda name, latencies_s, **given: write_run(tmp_path / name, latencies_s, **given)


@pytest.fixture
def asv_writer(tmp_path: Path) -> Callable[..., Path]:
    """Writes an asv result file of time benchmarks: name → (parameters, results, samples)."""

    def write(name: str, benchmarks: Mapping[str, tuple[object, object, object]], **machine: object) -> Path:
        path = tmp_path / name
        table = {
            "commit_hash": "c" * 40,
            "params": {"machine": "m", "cpu": "a processor", "ram": "24", "torch": "2.13.0"} | machine,
            "result_columns": ["result", "params", "version", "samples"],
            "results": {
                benchmark: [results, params, "v1", samples]
                for benchmark, (params, results, samples) in benchmarks.items()
            },
            "version": 2,
        }
        path.write_text(json.dumps(table))
        return path

    return write


@pytest.fixture
def rounds_writer(tmp_path: Path) -> Callable[..., Path]:
    """Writes a file of pytest-benchmark: name → rounds in seconds, or None where they were not saved."""

    def write(name: str, rounds_s: Mapping[str, Sequence[float] | None], **extra: object) -> Path:
        path = tmp_path / name
        benchmarks = [
            {"fullname": case, "stats": {"data": data} if data is not None else {}, "extra_info": extra}
            for case, data in rounds_s.items()
        ]
        info = {"node": "n", "machine": "x86_64", "cpu": {"brand_raw": "a processor"}}
        path.write_text(json.dumps({"machine_info": info, "commit_info": {"id": "d" * 40}, "benchmarks": benchmarks}))
        return path

    return write
