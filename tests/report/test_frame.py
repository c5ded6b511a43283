"""The tidy frame has one row a measured case and plain columns."""

import statistics
from collections.abc import Callable

import pytest

from capratio.records.record import Record
from capratio.records.summary import summarise
from capratio.report.frame import KEYS, NUMBERS, tidy


def test_a_row_says_what_the_case_is_and_what_was_counted(record_maker: Callable[..., Record]) -> None:
    made = [record_maker(depth=3, p=8, q=4, replicate=r) for r in range(3)]

    frame = tidy(summarise(made))

    (row,) = frame.to_dict("records")
    assert ("tree-shared", 3, "decode", 3) == (row["series"], row["depth"], row["pass"], row["replicates"])
    assert (2**4 - 1) * 4 * 8 == row["weight_parameters"]
    assert 3 * 8 * 4 == row["flop_overhead"]
    assert 1 == row["visited_leaves"]
    assert statistics.median(statistics.median(r.timing.samples_s) for r in made if r.timing) == pytest.approx(
        row["latency_s"]
    )


def test_cases_without_a_measurement_have_no_row(records: list[Record]) -> None:
    frame = tidy(summarise(records))

    assert len({record.case for record in records if record.measured}) == len(frame)
    assert frame["latency_s"].notna().all()


def test_an_empty_run_still_has_every_column() -> None:
    frame = tidy(())

    assert [*KEYS, *NUMBERS] == list(frame.columns)
    assert 0 == len(frame)
