"""Records as one flat table for other programs, a row a record: CSV with medians, Parquet with every sample."""

import statistics
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from capratio.errors import InputError
from capratio.records.columns import Column, columns
from capratio.records.record import Record


def write_csv(records: Iterable[Record], path: Path) -> None:
    """Write a row a record; samples as ``samples_count`` and ``samples_median_s``, other lists and maps as JSON.

    Raises InputError when the file cannot be written.
    """
    import pandas as pd

    _check_place(path)
    table = _table(records, [narrow for column in columns() for narrow in _without_samples(column)])
    try:
        # Objects keep an integer an integer beside missing ones, where floats would round it.
        pd.DataFrame(table, dtype=object).to_csv(path, index=False, lineterminator="\n")
    except OSError as error:
        raise _refused(path, error) from None


def write_parquet(records: Iterable[Record], path: Path) -> None:
    """Write a row a record with every sample, in time order, as list columns; other lists and maps as JSON.

    The columns and their types are the same for every run, whatever is missing in it.

    Raises InputError when the file cannot be written.
    """
    import pandas as pd
    import pyarrow as pa  # type: ignore[import-untyped]

    _check_place(path)
    types = {
        "text": pa.string(),
        "integer": pa.int64(),
        "number": pa.float64(),
        "truth": pa.bool_(),
        "samples": pa.list_(pa.float64()),
    }
    shape = columns()
    schema = pa.schema([(column.name, types[column.kind]) for column in shape])
    table = _table(records, shape)
    try:
        pd.DataFrame(table, dtype=object).to_parquet(path, engine="pyarrow", index=False, schema=schema)
    except OSError as error:
        raise _refused(path, error) from None


def _table(records: Iterable[Record], shape: Iterable[Column]) -> dict[str, list[Any]]:
    kept = list(records)
    return {column.name: [column.value(record) for record in kept] for column in shape}


def _without_samples(column: Column) -> list[Column]:
    if column.kind != "samples":
        return [column]

    def count(record: Record) -> int | None:
        samples_s = column.value(record)
        return None if samples_s is None else len(samples_s)

    def median_s(record: Record) -> float | None:
        samples_s = column.value(record)
        return statistics.median(samples_s) if samples_s else None

    stem = column.name.removesuffix("_s")
    return [Column(f"{stem}_count", "integer", count), Column(f"{stem}_median_s", "number", median_s)]


def _check_place(path: Path) -> None:
    """Refuse in our words what pandas and the system would refuse in theirs, before any work is done."""
    if path.is_dir():
        raise InputError(f"{path} is a folder and was given for a table; give a file in it.")
    if not path.parent.is_dir():
        raise InputError(
            f"{path} cannot be written, since {path.parent} is not a folder; make it or give another file."
        )


def _refused(path: Path, error: OSError) -> InputError:
    why = error.strerror or str(error)
    return InputError(f"{path} cannot be written ({why}); give a file in a folder that is there and can be written.")
