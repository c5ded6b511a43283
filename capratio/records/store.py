"""A run's folder: one appended line a record, machine and plan beside them, and a reader that trusts none of them."""

import gzip
import json
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, TypeVar, cast

from capratio.errors import InputError
from capratio.records.append_file import AppendFile, is_torn
from capratio.records.codec import decode, encode
from capratio.records.record import Record
from capratio.records.strict_json import parse_object
from capratio.records.whole_file import write_whole

RECORDS = "records.jsonl"
RECORDS_GZ = "records.jsonl.gz"
MACHINE = "machine.json"
PLAN = "plan.json"
CEILINGS = "ceilings.jsonl"

MEND_LINE = "If it was damaged, delete the line, and the same sweep measures what it held again."
FOREIGN = "It is not a file of capratio, and is left as it is."
MEND_MACHINE = "If it was damaged, restore it from a copy, or measure into a new folder."
MEND_PLAN = "If it was damaged, delete it, and the same sweep writes it again."

MAX_LINE_BYTES = 2**26
"""Longest line that is read; a record of a million samples takes a third of it."""

MAX_RUN_BYTES = 2**31
"""Most bytes of lines that are read from one file, so that a small archive cannot fill the memory."""

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Run:
    """What a run's folder holds.

    path: the folder. machine: ``machine.json``. records: in the order of writing. ceilings: each measurement of the
    machine's ceilings, oldest first. torn: whether the last record was cut off while it was written, and is left out.
    planned: case id → replicates that its sweeps were to measure (``plan.json``); None where the run has no such file.
    """

    path: Path
    machine: dict[str, Any]
    records: tuple[Record, ...]
    ceilings: tuple[dict[str, Any], ...]
    torn: bool
    planned: dict[str, int] | None

    @property
    def planned_count(self) -> int:
        """How many measurements were planned; 0 without a plan."""
        return sum((self.planned or {}).values())

    @property
    def planned_done(self) -> int:
        """How many of the planned measurements have a record, of whatever status; 0 without a plan."""
        plan = self.planned or {}
        return sum(record.replicate < plan.get(record.case, 0) for record in self.records)


class RecordWriter:
    """Appends records to a run's folder, each on the disk before ``write`` returns; a context manager.

    The folder is made if missing. A last line that was cut off is cut away on opening, and ``repaired`` says so.

    Raises InputError on opening when the folder cannot be written, when its last line is not a record's beginning, or
    when another writer has it open.
    """

    def __init__(self, run_dir: Path) -> None:
        run_dir = Path(run_dir)
        with _told(run_dir, "written"):
            run_dir.mkdir(parents=True, exist_ok=True)
            self._file = AppendFile(run_dir / RECORDS)

    @property
    def repaired(self) -> bool:
        """Whether a torn last line was found on opening and cut off; its case is to be measured again."""
        return self._file.repaired

    def write(self, record: Record) -> None:
        """Append one record as one line, flushed and fsynced; a line that fails half-way is taken back.

        Raises InputError for a record without a JSON form, and OSError when the disk refuses.
        """
        self._file.append(encode(record))

    def close(self) -> None:
        """Release the file; closing twice is allowed."""
        self._file.close()

    def __enter__(self) -> "RecordWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def read_run(run_dir: Path) -> Run:
    """Return what a run's folder holds: ``records.jsonl`` or else ``records.jsonl.gz``, and what lies beside them.

    Raises InputError, one sentence, for a folder that is no run, a line that is no record, a damaged archive, and a
    replicate of a case that is there twice.
    """
    run_dir = Path(run_dir)
    if not run_dir.is_dir():
        raise InputError(f"{run_dir} is not a folder; give the folder of a run, with {MACHINE} and {RECORDS} in it.")
    source = next((run_dir / name for name in (RECORDS, RECORDS_GZ) if (run_dir / name).is_file()), None)
    if source is None or not (run_dir / MACHINE).is_file():
        missing = f"{RECORDS} or {RECORDS_GZ}" if source is None else MACHINE
        raise InputError(f"{run_dir} has no {missing}; give the folder of a run, as 'capratio sweep' leaves it.")
    records, torn = read_lines(source, decode)
    _check_replicates(source, records)
    ceilings: list[dict[str, Any]] = []
    if (run_dir / CEILINGS).is_file():
        # The record whose ceilings were cut off carries its own limit, so that nothing else depends on the lost line.
        ceilings, _ = read_lines(run_dir / CEILINGS, parse_object)
    machine = _read_object(run_dir / MACHINE, parse_object, MEND_MACHINE)
    return Run(run_dir, machine, tuple(records), tuple(ceilings), torn, _read_plan(run_dir / PLAN))


def write_machine(run_dir: Path, machine: Mapping[str, Any]) -> None:
    """Write ``machine.json`` whole or not at all, and make the folder if it is missing.

    Raises InputError for a description without a JSON form, and for a folder that cannot be written.
    """
    _write_object(Path(run_dir) / MACHINE, machine)


def write_plan(run_dir: Path, planned: Mapping[str, int]) -> None:
    """Write ``plan.json`` whole or not at all, and make the folder if it is missing.

    A plan that is there already is kept: a case in both has the larger number of replicates.

    Args: planned: case id → replicates to measure, at least 1.

    Raises InputError for a number of replicates that is none, a damaged plan, and a folder that cannot be written.
    """
    path = Path(run_dir) / PLAN
    joined = _read_plan(path) or {}
    for case, replicates in _check_plan(planned).items():
        joined[case] = max(replicates, joined.get(case, 0))
    _write_object(path, joined)


def append_ceilings(run_dir: Path, ceilings: Mapping[str, Any]) -> None:
    """Append one measurement of the machine's ceilings as one line, flushed and fsynced.

    Raises InputError for a measurement without a JSON form, and for a folder that cannot be written.
    """
    run_dir = Path(run_dir)
    text = _json(ceilings, CEILINGS)
    parse_object(text)
    with _told(run_dir, "written"):
        run_dir.mkdir(parents=True, exist_ok=True)
        file = AppendFile(run_dir / CEILINGS)
        try:
            file.append(text)
        finally:
            file.close()


def _json(value: Mapping[str, Any], name: str) -> str:
    try:
        return json.dumps(dict(value), sort_keys=True, allow_nan=False, separators=(",", ":"))
    except (ValueError, TypeError, RecursionError) as error:
        raise InputError(f"what was given for {name} has no JSON form ({error}).") from None


def _write_object(path: Path, value: Mapping[str, Any]) -> None:
    text = json.dumps(parse_object(_json(value, path.name)), indent=2, sort_keys=True)
    with _told(path.parent, "written"):
        write_whole(path, f"{text}\n".encode())


def _read_object(path: Path, parse: Callable[[str], Item], mend: str) -> Item:
    with _told(path, "read"):
        if path.stat().st_size > MAX_LINE_BYTES:
            raise InputError(f"{path} is larger than {MAX_LINE_BYTES} bytes; a file of this name in a run is not.")
        data = path.read_bytes()
    return _parsed(data, parse, str(path), mend)


def _read_plan(path: Path) -> dict[str, int] | None:
    if not path.is_file():
        return None
    return _read_object(path, lambda text: _check_plan(parse_object(text)), MEND_PLAN)


def _check_plan(planned: Mapping[str, object]) -> dict[str, int]:
    checked: dict[str, int] = {}
    for case, replicates in planned.items():
        if type(replicates) is not int or replicates < 1:
            raise InputError(
                f"the case {case!r} has {replicates!r} replicates planned; it must be an integer of at least 1."
            )
        checked[case] = replicates
    return checked


def read_lines(path: Path, parse: Callable[[str], Item]) -> tuple[list[Item], bool]:
    """Every line of a file, parsed, and whether a torn last line was left out.

    Raises InputError, one sentence, for a file that cannot be read and a line that ``parse`` refuses.
    """
    items: list[Item] = []
    with _told(path, "read"), _opened(path) as file:
        for number, line in enumerate(_bounded_lines(file, path), start=1):
            if not line.endswith(b"\n") and is_torn(line, str(path)):
                return items, True
            # Advice to delete is for a line of ours that is broken: deleting what a newer capratio or another program
            # wrote would destroy data.
            ours = bool(items) or line.startswith(b'{"')
            mend = (MEND_LINE if ours else FOREIGN) if _is_broken(line) else ""
            items.append(_parsed(line, parse, f"line {number} of {path}", mend))
    return items, False


def _is_broken(line: bytes) -> bool:
    """Whether a line is not JSON at all."""
    try:
        json.loads(line)
    except RecursionError:
        return False
    except ValueError:
        return True
    return False


def _opened(path: Path) -> IO[bytes]:
    return cast("IO[bytes]", gzip.open(path, "rb")) if path.suffix == ".gz" else path.open("rb")


@contextmanager
def _told(path: Path, done: str) -> Iterator[None]:
    """What the system or the archive says, as one sentence that names the path."""
    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise InputError(f"{path} is a damaged or cut off gzip archive; fetch it again.") from None
    except OSError as error:
        raise InputError(f"{path} cannot be {done} ({error.strerror}); check the path and its permissions.") from None


def _bounded_lines(file: IO[bytes], path: Path) -> Iterator[bytes]:
    total = 0
    while line := file.readline(MAX_LINE_BYTES + 1):
        total += len(line)
        if len(line) > MAX_LINE_BYTES or total > MAX_RUN_BYTES:
            raise InputError(
                f"{path} has a line over {MAX_LINE_BYTES} bytes or more than {MAX_RUN_BYTES} bytes; a run has neither."
            )
        yield line


def _parsed(data: bytes, parse: Callable[[str], Item], where: str, mend: str) -> Item:
    try:
        return parse(data.decode("utf-8"))
    except UnicodeDecodeError:
        raise InputError(f"{where} cannot be used: it is not UTF-8 text. {mend}".rstrip()) from None
    except InputError as error:
        raise InputError(f"{where} cannot be used: {error} {mend}".rstrip()) from None


def _check_replicates(path: Path, records: list[Record]) -> None:
    seen: set[tuple[str, int]] = set()
    for record in records:
        key = (record.case, record.replicate)
        if key in seen:
            raise InputError(
                f"{path} has replicate {record.replicate} of {record.case!r} twice; runs are not joined into one file."
            )
        seen.add(key)
