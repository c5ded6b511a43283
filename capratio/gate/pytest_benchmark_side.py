"""A side from a file of pytest-benchmark: rounds of one process."""

from collections.abc import Mapping
from pathlib import Path

from capratio.errors import InputError
from capratio.gate.sides import Series, Side


def pytest_benchmark_side(path: Path, table: Mapping[str, object]) -> Side:
    """The benchmarks of a file that ``--benchmark-json`` or ``--benchmark-save-data`` wrote.

    Raises InputError for a file without benchmarks, or one of them that has no name.
    """
    benchmarks, info = table.get("benchmarks"), table.get("machine_info")
    if not isinstance(benchmarks, list):
        raise InputError(f"{path} has no list of benchmarks; give a JSON file of pytest-benchmark.")
    series = {}
    for each in benchmarks:
        name = each.get("fullname") if isinstance(each, dict) else None
        if not isinstance(name, str):
            raise InputError(f"{path} has a benchmark without a fullname; pytest-benchmark did not write it.")
        series[name] = _series(each)
    commit = table.get("commit_info")
    identity = commit.get("id") if isinstance(commit, dict) else None
    return Side(
        name=str(path),
        kind="pytest-benchmark",
        machine=_machine(info if isinstance(info, dict) else {}),
        commit=identity if isinstance(identity, str) else None,
        series=series,
    )


def _series(benchmark: Mapping[str, object]) -> Series:
    stats, extra = benchmark.get("stats"), benchmark.get("extra_info")
    data = stats.get("data") if isinstance(stats, dict) else None
    exact = {
        key: value
        for key, value in (extra.items() if isinstance(extra, dict) else ())
        if isinstance(value, int) and not isinstance(value, bool)
    }
    if isinstance(data, list) and data and all(isinstance(value, int | float) and value > 0 for value in data):
        return Series(tuple(float(value) for value in data), processes=False, exact=exact)
    return Series(
        (), False, exact, "the file keeps no samples; write it with --benchmark-save-data or --benchmark-json"
    )


def _machine(info: Mapping[str, object]) -> dict[str, object]:
    cpu = info.get("cpu")
    model = cpu.get("brand_raw") if isinstance(cpu, dict) else None
    return {"node": info.get("node"), "machine": info.get("machine"), "cpu": model}
