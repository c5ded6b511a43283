"""A side from a result file of asv: samples whose process is not known."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from math import prod
from pathlib import Path

from capratio.errors import InputError
from capratio.gate.sides import Series, Side

# The result files that asv 0.4 and later writes.
FORMAT = 2
# Of asv's own description of a machine, what decides a latency.
_MACHINE = ("machine", "arch", "cpu", "num_cpu", "ram", "gpu", "driver")
# A benchmark that asv times; what it tracks or weighs has other units.
_TIMED = re.compile(r"(^|\.)time_")
# Sets of parameters of one benchmark; a file of a few bytes can name more than a memory holds.
_MOST_CASES = 100_000


@dataclass(frozen=True, slots=True)
class AsvResult:
    """What a result file holds of one benchmark with one set of parameters, not yet checked to be numbers.

    benchmark: its dotted name. case: the name with its parameters. result: asv's number, None where it has none.
    samples: what it was made of, None where they were not kept. version: of the benchmark's code; asv compares results
    of one version.
    """

    benchmark: str
    case: str
    result: object
    samples: object
    version: object


def asv_side(path: Path, table: Mapping[str, object]) -> Side:
    """The timed benchmarks of a result file, one series for each set of parameters.

    Raises InputError for a file whose columns and results do not fit one another, or of another version.
    """
    series = {each.case: _series(each) for each in asv_results(path, table) if _TIMED.search(each.benchmark)}
    if table.get("version") != FORMAT:
        raise InputError(
            f"{path} is of version {str(table.get('version'))[:40]!r} of asv's results; version {FORMAT} is read."
        )
    return Side(
        name=str(path),
        kind="asv",
        machine=asv_machine(table),
        commit=str(table["commit_hash"]) if table.get("commit_hash") else None,
        series=series,
    )


def asv_machine(table: Mapping[str, object]) -> dict[str, object]:
    """What a result file says of the machine, as far as it decides a latency."""
    params = table.get("params")
    machine = params if isinstance(params, dict) else {}
    return {key: machine[key] for key in _MACHINE if key in machine}


def asv_results(path: Path, table: Mapping[str, object]) -> Iterator[AsvResult]:
    """Every benchmark of a result file with each of its sets of parameters.

    Raises InputError for a file whose columns and results do not fit one another.
    """
    columns, results = table.get("result_columns"), table.get("results")
    if not isinstance(columns, list) or not isinstance(results, dict):
        raise InputError(
            f"{path} has no result_columns and results; give a result file of asv, as it lies below results/."
        )
    for name, values in results.items():
        # asv leaves off the last columns of a benchmark that has none.
        if not isinstance(values, list) or len(values) > len(columns):
            raise InputError(
                f"{path}: the result of {name[:80]!r} has another form than its columns; asv did not write it."
            )
        row = dict(zip([str(column) for column in columns], values, strict=False))
        for place, case in enumerate(_cases(path, name, row.get("params"))):
            yield AsvResult(
                name, case, _at(row.get("result"), place), _at(row.get("samples"), place), row.get("version")
            )


def is_number(value: object) -> bool:
    """Whether a value of a result file is a number; JSON's true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _cases(path: Path, name: str, given: object) -> list[str]:
    """The benchmark's name with each set of its parameters, in asv's order."""
    params = [list(map(str, each)) for each in given if isinstance(each, list)] if isinstance(given, list) else []
    if prod(map(len, params)) > _MOST_CASES:
        raise InputError(f"{path}: {name[:80]!r} has more than {_MOST_CASES} sets of parameters; asv did not write it.")
    return [f"{name}({', '.join(each)})" if each else name for each in product(*params)]


def _series(each: AsvResult) -> Series:
    if isinstance(each.samples, list) and each.samples and all(map(_is_time, each.samples)):
        return Series(tuple(float(value) for value in each.samples), processes=False)
    if _is_time(each.result):
        return Series((float(each.result),), processes=False)  # type: ignore[arg-type]
    return Series((), processes=False, failed="asv has no time of it")


def _at(values: object, place: int) -> object:
    return values[place] if isinstance(values, list) and place < len(values) else None


def _is_time(value: object) -> bool:
    return is_number(value) and value > 0  # type: ignore[operator]
