"""A run survives kills, and whatever else lies in its folder is refused in one sentence."""

import gzip
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from capratio.errors import InputError
from capratio.records.codec import encode
from capratio.records.record import Record
from capratio.records.store import RecordWriter, append_ceilings, read_run, write_machine, write_plan


def test_what_is_written_is_read(tmp_path: Path, made: Callable[..., Record]) -> None:
    records = tuple(made(replicate=r) for r in range(3))
    write_machine(tmp_path / "run", {"cpu_model": "x", "caches": {"l1d_bytes": 1}})

    with RecordWriter(tmp_path / "run") as writer:
        for record in records:
            writer.write(record)
    append_ceilings(tmp_path / "run", {"spread": 0.1})
    append_ceilings(tmp_path / "run", {"spread": 0.2})

    run = read_run(tmp_path / "run")
    assert records == run.records
    assert {"cpu_model": "x", "caches": {"l1d_bytes": 1}} == run.machine
    assert ({"spread": 0.1}, {"spread": 0.2}) == run.ceilings
    assert (False, False) == (run.torn, writer.repaired)
    assert tmp_path / "run" == run.path
    assert run.planned is None


def test_every_cut_of_the_last_line_is_recognised_and_cut_off(run_dir: Path, made: Callable[..., Record]) -> None:
    path = run_dir / "records.jsonl"
    whole = path.read_bytes()
    first = whole.index(b"\n") + 1

    for length in range(first + 1, len(whole) - 1, 7):
        path.write_bytes(whole[:length])
        run = read_run(run_dir)
        assert (1, True) == (len(run.records), run.torn)

        with RecordWriter(run_dir) as writer:
            assert writer.repaired
            writer.write(made(replicate=1))

        assert whole == path.read_bytes()


def test_a_last_line_that_lacks_only_its_newline_is_kept(run_dir: Path, made: Callable[..., Record]) -> None:
    path = run_dir / "records.jsonl"
    path.write_bytes(path.read_bytes()[:-1])

    run = read_run(run_dir)
    with RecordWriter(run_dir) as writer:
        writer.write(made(replicate=2))

    assert (2, False, False) == (len(run.records), run.torn, writer.repaired)
    assert [0, 1, 2] == [record.replicate for record in read_run(run_dir).records]


def test_zeros_that_a_crash_left_are_cut_off(run_dir: Path) -> None:
    path = run_dir / "records.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + b"\0" * 3_000_000)

    assert read_run(run_dir).torn
    with RecordWriter(run_dir) as writer:
        assert writer.repaired

    assert whole == path.read_bytes()


def test_a_foreign_file_is_never_shortened(run_dir: Path) -> None:
    (run_dir / "records.jsonl").write_text("my only copy of a novel")

    with pytest.raises(InputError, match=r"is not a file of capratio"):
        RecordWriter(run_dir)
    with pytest.raises(InputError, match=r"is not a file of capratio"):
        read_run(run_dir)

    assert "my only copy of a novel" == (run_dir / "records.jsonl").read_text()


def test_a_torn_line_in_the_middle_is_damage_and_is_named(run_dir: Path) -> None:
    path = run_dir / "records.jsonl"
    lines = path.read_text().splitlines()
    path.write_text(f"{lines[0][:50]}\n{lines[1]}\n")

    with pytest.raises(
        InputError, match=r"line 1 of .*records\.jsonl cannot be used: .* delete the line, and the same"
    ):
        read_run(run_dir)


@pytest.mark.parametrize("line", [b"\0\0\0", b'{"case": "\xff"}', b"hello,world"])
def test_a_broken_line_after_a_record_may_be_deleted(run_dir: Path, line: bytes) -> None:
    path = run_dir / "records.jsonl"
    path.write_bytes(path.read_bytes() + line + b"\n")

    with pytest.raises(InputError, match=r"line 3 of .* If it was damaged, delete the line"):
        read_run(run_dir)


@pytest.mark.parametrize("text", ["hello,world\n1,2\n", "caf\xe9\n", '{\n  "a": 1\n}\n'])
def test_a_file_that_is_not_of_capratio_is_left_as_it_is(run_dir: Path, text: str) -> None:
    (run_dir / "records.jsonl").write_bytes(text.encode("latin-1"))

    with pytest.raises(InputError, match=r"line 1 of .* It is not a file of capratio, and is left as it is\.$"):
        read_run(run_dir)


@pytest.mark.parametrize("line", ['{"schema": 99}', '{"a": 1}', "[1]", '{"a": NaN}'])
def test_nobody_is_told_to_delete_a_line_that_is_json(run_dir: Path, line: str) -> None:
    with (run_dir / "records.jsonl").open("a") as file:
        file.write(f"{line}\n")

    with pytest.raises(InputError, match="line 3 of") as caught:
        read_run(run_dir)

    assert "delete the line" not in str(caught.value)


KILLED = """
import sys
from pathlib import Path
from capratio.records.codec import decode
from capratio.records.store import RecordWriter
from dataclasses import replace
record = decode(sys.argv[2])
with RecordWriter(Path(sys.argv[1])) as writer:
    for replicate in range(1_000_000):
        writer.write(replace(record, replicate=replicate))
        print(replicate, flush=True)
"""


def test_no_record_is_lost_when_the_writer_is_killed(run_dir: Path, made: Callable[..., Record]) -> None:
    (run_dir / "records.jsonl").unlink()
    command = [sys.executable, "-c", KILLED, str(run_dir), encode(made())]

    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path.cwd()) as process:
        assert process.stdout is not None
        told = [int(process.stdout.readline()) for _ in range(20)]
        os.kill(process.pid, signal.SIGKILL)
        told += [int(line) for line in process.stdout]
        process.wait()

    run = read_run(run_dir)
    assert told == [record.replicate for record in run.records][: len(told)]
    with RecordWriter(run_dir) as writer:
        assert run.torn == writer.repaired


def test_a_line_that_the_disk_refuses_half_way_is_taken_back(
    run_dir: Path, made: Callable[..., Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (run_dir / "records.jsonl").read_bytes()
    write = os.write
    calls = []

    def full(handle: int, data: bytes) -> int:
        calls.append(handle)
        if len(calls) > 1:
            raise OSError(28, "No space left on device")
        return write(handle, data[:10])

    with RecordWriter(run_dir) as writer:
        monkeypatch.setattr(os, "write", full)
        with pytest.raises(OSError, match="No space left"):
            writer.write(made(replicate=2))

    assert before == (run_dir / "records.jsonl").read_bytes()


def test_two_writers_of_one_run_are_refused(run_dir: Path) -> None:
    with RecordWriter(run_dir), pytest.raises(InputError, match="being written by another process"):
        RecordWriter(run_dir)

    RecordWriter(run_dir).close()


def test_a_replicate_that_is_there_twice_is_refused(run_dir: Path, made: Callable[..., Record]) -> None:
    with RecordWriter(run_dir) as writer:
        writer.write(made(replicate=1))

    with pytest.raises(InputError, match="has replicate 1 of 'a' twice"):
        read_run(run_dir)


def test_the_plain_file_goes_before_the_archive(run_dir: Path) -> None:
    (run_dir / "records.jsonl.gz").write_bytes(b"not read")

    assert 2 == len(read_run(run_dir).records)


def test_an_archive_is_read_alone_and_refused_when_damaged(run_dir: Path) -> None:
    data = (run_dir / "records.jsonl").read_bytes()
    (run_dir / "records.jsonl").unlink()
    archive = run_dir / "records.jsonl.gz"
    packed = gzip.compress(data)
    archive.write_bytes(packed)

    assert 2 == len(read_run(run_dir).records)

    flipped = bytearray(packed)
    flipped[len(packed) // 2] ^= 0xFF
    for damaged in (packed[:-20], packed[:30], b"not gzip", bytes(flipped)):
        archive.write_bytes(damaged)
        with pytest.raises(InputError, match=r"damaged|cannot be used|not a file of capratio"):
            read_run(run_dir)


def test_a_bomb_is_refused_before_it_fills_the_memory(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("capratio.records.store.MAX_LINE_BYTES", 2**16)
    (run_dir / "records.jsonl").unlink()
    (run_dir / "records.jsonl.gz").write_bytes(gzip.compress(b" " * 2**24))

    with pytest.raises(InputError, match="has a line over 65536 bytes"):
        read_run(run_dir)


@pytest.mark.parametrize("name, missing", [("machine.json", "machine.json"), ("records.jsonl", r"records\.jsonl or")])
def test_a_folder_that_lacks_a_file_is_no_run(run_dir: Path, name: str, missing: str) -> None:
    (run_dir / name).unlink()

    with pytest.raises(InputError, match=f"has no {missing}"):
        read_run(run_dir)


def test_a_path_that_is_no_folder_is_refused(run_dir: Path) -> None:
    with pytest.raises(InputError, match="is not a folder"):
        read_run(run_dir / "records.jsonl")
    with pytest.raises(InputError, match="is not a folder"):
        read_run(run_dir / "nowhere")


@pytest.mark.parametrize("text", ["", "[1]", '{"a": NaN}', '{"a": 1', "\xff"])
def test_a_broken_machine_description_is_refused(run_dir: Path, text: str) -> None:
    (run_dir / "machine.json").write_bytes(text.encode("latin-1"))

    with pytest.raises(InputError, match=r"machine\.json"):
        read_run(run_dir)


def test_a_record_of_a_newer_schema_is_named_by_its_line(run_dir: Path) -> None:
    with (run_dir / "records.jsonl").open("a") as file:
        file.write(json.dumps({"schema": 99}) + "\n")

    with pytest.raises(InputError, match=r"line 3 of .* schema 99 was given"):
        read_run(run_dir)


def test_a_machine_without_a_json_form_leaves_the_old_one(run_dir: Path) -> None:
    before = sorted(run_dir.iterdir()), (run_dir / "machine.json").read_bytes()

    for bad in ({"a": float("nan")}, {"a": object()}):
        with pytest.raises(InputError, match=r"for machine\.json has no JSON form"):
            write_machine(run_dir, bad)

    assert before == (sorted(run_dir.iterdir()), (run_dir / "machine.json").read_bytes())


def test_torn_ceilings_are_left_out_and_repaired(run_dir: Path) -> None:
    (run_dir / "ceilings.jsonl").write_text('{"spread": 0.1}\n{"spr')

    assert ({"spread": 0.1},) == read_run(run_dir).ceilings
    append_ceilings(run_dir, {"spread": 0.2})

    assert ({"spread": 0.1}, {"spread": 0.2}) == read_run(run_dir).ceilings


def test_a_folder_that_cannot_be_made_is_one_sentence(run_dir: Path) -> None:
    writers: tuple[Callable[[Path], object], ...] = (
        RecordWriter,
        lambda path: write_machine(path, {}),
        lambda path: write_plan(path, {"a": 1}),
        lambda path: append_ceilings(path, {}),
    )
    for write in writers:
        with pytest.raises(InputError, match="cannot be written"):
            write(run_dir / "machine.json" / "run")
