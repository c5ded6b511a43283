"""A run knows what its sweeps were to measure, and how much of it is there."""

from collections.abc import Callable
from pathlib import Path

import pytest

from capratio.errors import InputError
from capratio.records.record import Record
from capratio.records.store import RecordWriter, read_run, write_plan


def test_a_plan_is_joined_with_the_one_already_there_by_the_larger_number(run_dir: Path) -> None:
    write_plan(run_dir, {"a": 3, "b": 7})
    write_plan(run_dir, {"b": 2, "c": 1})

    assert {"a": 3, "b": 7, "c": 1} == read_run(run_dir).planned
    assert [] == list(run_dir.glob(".plan*"))


def test_a_run_says_how_many_of_its_planned_measurements_have_a_record(
    run_dir: Path, failed: Callable[..., Record]
) -> None:
    before = read_run(run_dir)
    with RecordWriter(run_dir) as writer:
        writer.write(failed(case="b"))
        writer.write(failed(case="not planned"))
    write_plan(run_dir, {"a": 1, "b": 2, "c": 1})

    run = read_run(run_dir)

    assert (0, 0) == (before.planned_done, before.planned_count)
    # Replicate 1 of a is more than was planned; b's refusal is a record.
    assert (2, 4) == (run.planned_done, run.planned_count)


@pytest.mark.parametrize("text", ["", "[1]", '{"a": 0}', '{"a": "7"}', '{"a": true}', '{"a": 1.5}', '{"a": 1', "\xff"])
def test_a_damaged_plan_is_refused_and_kept(run_dir: Path, text: str) -> None:
    path = run_dir / "plan.json"
    path.write_bytes(text.encode("latin-1"))

    for use in (read_run, lambda folder: write_plan(folder, {"a": 1})):
        with pytest.raises(InputError, match=r"plan\.json cannot be used: .* delete it, and the same sweep writes it"):
            use(run_dir)

    assert text.encode("latin-1") == path.read_bytes()


def test_a_plan_of_no_replicates_is_refused(run_dir: Path) -> None:
    with pytest.raises(InputError, match="the case 'a' has 0 replicates planned; it must be an integer of at least 1"):
        write_plan(run_dir, {"a": 0})

    assert not (run_dir / "plan.json").exists()
