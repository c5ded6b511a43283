"""A gate's folder: what is there goes on, and what is foreign, damaged or another run's is told."""

from dataclasses import replace
from pathlib import Path

import pytest

from capratio.errors import InputError
from capratio.gate.block_plan import BASE, HEAD, PAIR, BlockPlan
from capratio.gate.process_result import ProcessResult, decode_result, encode_result
from capratio.gate.process_store import GATE, PROCESSES, ProcessStore

RESULT = ProcessResult(
    "pair",
    3,
    "head",
    "2026-05-04T10:00:00+00:00",
    9.5,
    0.25,
    ({"product_s": 1e-3},),
    {"a": (1e-4, 2e-4)},
    {},
    {"b": "why"},
)


def test_what_was_added_is_there_when_the_folder_is_opened_again(tmp_path: Path) -> None:
    with ProcessStore(tmp_path / "gate", {"base": "a"}, 5) as store:
        store.add({HEAD: RESULT})
    with ProcessStore(tmp_path / "gate", {"base": "a"}, 6) as store:
        assert ({HEAD: RESULT}, 5) == (store.block(BlockPlan(PAIR, 3, ((HEAD,),), (), 1)), store.described["seed"])


def test_a_block_of_which_a_process_is_missing_did_not_run(tmp_path: Path) -> None:
    with ProcessStore(tmp_path / "gate", {}, 5) as store:
        store.add({HEAD: RESULT})

        assert store.block(BlockPlan(PAIR, 3, ((BASE, HEAD),), (), 1)) is None
        assert store.block(BlockPlan(PAIR, 4, ((HEAD,),), (), 1)) is None


def test_a_block_that_was_kept_in_part_is_replaced_when_it_is_measured_again(tmp_path: Path) -> None:
    later = replace(RESULT, took_s=3.0)
    with ProcessStore(tmp_path / "gate", {}, 5) as store:
        store.add({HEAD: RESULT})
        store.add({BASE: replace(RESULT, side=BASE), HEAD: later})
    with ProcessStore(tmp_path / "gate", {}, 5) as store:
        block = store.block(BlockPlan(PAIR, 3, ((BASE, HEAD),), (), 1))

    assert block is not None
    assert later == block[HEAD]


def test_a_line_that_was_cut_off_is_measured_again(tmp_path: Path) -> None:
    with ProcessStore(tmp_path / "gate", {}, 5) as store:
        store.add({HEAD: RESULT})
        store.add({HEAD: replace(RESULT, block=4)})
    lines = (tmp_path / "gate" / PROCESSES).read_bytes()
    (tmp_path / "gate" / PROCESSES).write_bytes(lines[:-30])

    with ProcessStore(tmp_path / "gate", {}, 5) as store:
        assert 1 == len(store)
        store.add({HEAD: replace(RESULT, block=4)})
    with ProcessStore(tmp_path / "gate", {}, 5) as store:
        assert 2 == len(store)


def test_a_folder_of_another_gate_is_not_mixed(tmp_path: Path) -> None:
    with ProcessStore(tmp_path / "gate", {"base": "a", "machine": "m"}, 5):
        pass

    with pytest.raises(InputError, match=r"holds a gate of another kind \(machine\)"):
        ProcessStore(tmp_path / "gate", {"base": "a", "machine": "n"}, 5)


@pytest.mark.parametrize(
    "text, expected",
    [
        ("{", "cannot be read"),
        ('{"schema": 9, "seed": 1, "identity": {}}', "has schema 9"),
        ('{"schema": 1, "seed": "x", "identity": {}}', "names no identity or no seed"),
        ("[" * 100_000, "cannot be read"),
    ],
)
def test_a_description_that_is_none_is_told(tmp_path: Path, text: str, expected: str) -> None:
    (tmp_path / GATE).write_text(text)

    with pytest.raises(InputError, match=expected):
        ProcessStore(tmp_path, {}, 5)


@pytest.mark.parametrize(
    "change",
    [
        {"samples_s": {"a": (0.0,)}},
        {"samples_s": {"a": (-1.0,)}},
        {"samples_s": {"a": ()}},
        {"anchors": ({"product_s": 0.0},)},
    ],
)
def test_a_latency_that_is_no_positive_number_is_refused(change: dict[str, object]) -> None:
    line = encode_result(replace(RESULT, **change))  # type: ignore[arg-type]

    with pytest.raises(InputError, match="no positive number"):
        decode_result(line)


def test_nan_has_no_line() -> None:
    with pytest.raises(InputError, match="no JSON form"):
        encode_result(replace(RESULT, samples_s={"a": (float("nan"),)}))
