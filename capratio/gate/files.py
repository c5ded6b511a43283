"""Whatever a file or folder holds, as a side: a run of ours, a result file of asv, a file of pytest-benchmark."""

from pathlib import Path

from capratio.errors import InputError
from capratio.gate.asv_side import asv_side
from capratio.gate.foreign_json import read_foreign_table
from capratio.gate.pytest_benchmark_side import pytest_benchmark_side
from capratio.gate.run_side import read_run_side
from capratio.gate.sides import Side


def read_side(path: Path) -> Side:
    """The side that a path holds.

    Raises InputError for a path that is neither, a file that is too large, is no JSON, or holds no benchmarks.
    """
    if path.is_dir():
        return read_run_side(path)
    if not path.is_file():
        raise InputError(f"{path} is not there; give a run's folder, or a result file of asv or pytest-benchmark.")
    table = read_foreign_table(path, "give a result file of asv or pytest-benchmark")
    if "benchmarks" in table and "machine_info" in table:
        return pytest_benchmark_side(path, table)
    return asv_side(path, table)
