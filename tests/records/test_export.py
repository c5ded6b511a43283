"""Tables for other programs have every record, units in their names, and the same columns for every run."""

import csv
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from capratio.cost.flop import Flop
from capratio.errors import InputError
from capratio.records.codec import decode
from capratio.records.columns import FLOP_CLASSES, columns
from capratio.records.export import write_csv, write_parquet
from capratio.records.publish import write_compact
from capratio.records.record import Exact, Record

BIG = 2**53 + 1


@pytest.fixture
def records(made: Callable[..., Record], failed: Callable[..., Record]) -> list[Record]:
    """One measured record with an integer that no float holds, and one refused."""
    exact = Exact({"product": BIG, "overhead": 0}, None, None, 0, BIG, 1, None, None, 1, 1, (1, 2), None, 1.5, None)
    return [made(exact=exact, group='a, "b"\nc'), failed(replicate=1)]


def test_columns_are_unique_and_have_all_flop_classes() -> None:
    names = [column.name for column in columns()]

    assert len(names) == len(set(names))
    assert set(FLOP_CLASSES) == set(Flop().as_dict())
    assert {"latency", "pass_", "flop"}.isdisjoint(names)
    assert {"case", "pass", "in_features", "flop_product", "samples_s", "limit_s", "energy_j"} <= set(names)


def test_csv_has_counts_medians_and_exact_integers(records: list[Record], tmp_path: Path) -> None:
    write_csv(records, tmp_path / "a.csv")

    with (tmp_path / "a.csv").open(newline="", encoding="utf-8") as file:
        measured, refused = csv.DictReader(file)
    assert ("3", "2.0", str(BIG)) == (measured["samples_count"], measured["samples_median_s"], measured["flop_product"])
    assert 'a, "b"\nc' == measured["group"]
    assert "[1, 2]" == measured["visited_levels"]
    assert "samples_s" not in measured
    assert ("refused", "", "", "") == (
        refused["status"],
        refused["samples_count"],
        refused["flop_product"],
        refused["limit_s"],
    )


def test_parquet_has_every_sample_and_exact_integers(records: list[Record], tmp_path: Path) -> None:
    write_parquet(records, tmp_path / "a.parquet")

    frame = pd.read_parquet(tmp_path / "a.parquet", dtype_backend="pyarrow")
    assert [1.0, 2.0, 3.0] == list(frame["samples_s"][0])
    assert BIG == frame["flop_product"][0]
    assert frame["flop_product"].isna()[1]
    assert [column.name for column in columns()] == list(frame.columns)


def test_parquet_types_do_not_depend_on_what_a_run_lacks(
    records: list[Record], failed: Callable[..., Record], tmp_path: Path
) -> None:
    given: list[list[Record]] = [records, [failed()], []]
    kinds = []

    for number, each in enumerate(given):
        write_parquet(each, tmp_path / f"{number}.parquet")
        kinds.append(list(pd.read_parquet(tmp_path / f"{number}.parquet", dtype_backend="pyarrow").dtypes))

    assert kinds[0] == kinds[1] == kinds[2]


@pytest.mark.parametrize("write", [write_csv, write_parquet])
def test_a_table_that_cannot_be_written_is_one_sentence(
    write: Callable[[list[Record], Path], None], records: list[Record], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")

    for place in ("nowhere", "file"):
        with pytest.raises(InputError, match=f"a cannot be written, since .*{place} is not a folder; make it or give"):
            write(records, tmp_path / place / "a")
    with pytest.raises(InputError, match="is a folder and was given for a table; give a file in it"):
        write(records, tmp_path)


def test_the_compact_copy_is_the_same_for_the_same_records(records: list[Record], tmp_path: Path) -> None:
    import gzip

    for name in ("a.gz", "b.gz"):
        write_compact(records, tmp_path / name)

    assert (tmp_path / "a.gz").read_bytes() == (tmp_path / "b.gz").read_bytes()
    assert b"\0\0\0\0" == (tmp_path / "a.gz").read_bytes()[4:8]
    assert records == [decode(line) for line in gzip.decompress((tmp_path / "a.gz").read_bytes()).decode().splitlines()]
    assert ["a.gz", "b.gz"] == sorted(path.name for path in tmp_path.iterdir())
