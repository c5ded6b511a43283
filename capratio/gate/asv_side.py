"""A side from a result file of asv: samples whose process is not known."""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path

from capratio.errors import InputError
from capratio.gate.sides import Series, Side

# Of asv's own description of a machine, what decides a latency.
_MACHINE = ("machine", "arch", "cpu", "num_cpu", "ram", "gpu", "driver")
# A benchmark that asv times; what it tracks or weighs has other units.
_TIMED = re.compile(r"(^|\.)time_")


def asv_side(path: Path, table: Mapping[str, object]) -> Side:
    """The timed benchmarks of a result file, one series for each set of parameters.

    Raises InputError for a file whose columns and results do not fit one another.
    """
    columns, results = table.get("result_columns"), table.get("results")
    if not isinstance(columns, list) or not isinstance(results, dict):
        raise InputError(
            f"{path} has no result_columns and results; give a result file of asv, as it lies below results/."
        )
    params = table.get("params")
    machine = params if isinstance(params, dict) else {}
    series = {}
    for name, values in results.items():
        if _TIMED.search(name):
            for case, each in _cases(path, name, columns, values):
                series[case] = each
    return Side(
        name=str(path),
        kind="asv",
        machine={key: machine[key] for key in _MACHINE if key in machine},
        commit=str(table["commit_hash"]) if table.get("commit_hash") else None,
        series=series,
    )


def _cases(path: Path, name: str, columns: Sequence[object], values: object) -> Iterator[tuple[str, Series]]:
    # asv leaves off the last columns of a benchmark that has none.
    if not isinstance(values, list) or len(values) > len(columns):
        raise InputError(
            f"{path}: the result of {name[:80]!r} has another form than its columns; asv did not write it."
        )
    row = dict(zip([str(column) for column in columns], values, strict=False))
    results, samples = row.get("result"), row.get("samples")
    params = [list(map(str, each)) for each in row.get("params") or [] if isinstance(each, list)]
    cases = [f"{name}({', '.join(each)})" if each else name for each in product(*params)]
    for place, case in enumerate(cases):
        found = _at(samples, place)
        result = _at(results, place)
        if isinstance(found, list) and found and all(_is_time(value) for value in found):
            yield case, Series(tuple(float(value) for value in found), processes=False)
        elif _is_time(result):
            yield case, Series((float(result),), processes=False)  # type: ignore[arg-type]
        else:
            yield case, Series((), processes=False, failed="asv has no time of it")


def _at(values: object, place: int) -> object:
    return values[place] if isinstance(values, list) and place < len(values) else None


def _is_time(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0
