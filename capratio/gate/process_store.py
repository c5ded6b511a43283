"""A gate's folder: what is compared, and one appended line a process, so that an interrupted run goes on."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from capratio.errors import InputError
from capratio.gate.block_plan import BlockPlan, Key
from capratio.gate.process_result import ProcessResult, decode_result, encode_result
from capratio.gate.validity import Block
from capratio.records.append_file import AppendFile
from capratio.records.store import read_lines
from capratio.records.strict_json import parse_object
from capratio.records.whole_file import write_whole

GATE = "gate.json"
PROCESSES = "processes.jsonl"
SCHEMA = 1


class ProcessStore:
    """The processes of a run by their keys, on the disk before ``add`` returns; a context manager.

    described: what ``gate.json`` holds, with the seed that the run began with.

    Raises InputError on opening for a folder that holds another run, a file that is damaged, or another writer.
    """

    def __init__(self, folder: Path, identity: Mapping[str, object], seed: int) -> None:
        self.described = _open_described(folder, identity, seed)
        self._file = AppendFile(folder / PROCESSES)
        lines, _ = read_lines(folder / PROCESSES, decode_result)
        self._results = {result.key: result for result in lines}

    def block(self, plan: BlockPlan) -> Block | None:
        """The processes of a planned block, where all of them ran."""
        return stored_block(self._results, plan)

    def add(self, block: Block) -> None:
        """Keep the processes of a block; those of one that was kept in part before take their place.

        Raises OSError when the disk refuses.
        """
        for result in block.values():
            self._file.append(encode_result(result))
            self._results[result.key] = result

    def __len__(self) -> int:
        return len(self._results)

    def __enter__(self) -> "ProcessStore":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


def stored_block(results: Mapping[Key, ProcessResult], plan: BlockPlan) -> Block | None:
    """The processes of a planned block, or None where one of them is missing."""
    found = {side: results.get(plan.key(side)) for side in plan.sides}
    block = {side: result for side, result in found.items() if result is not None and _has(result, plan.cases)}
    return block if len(block) == len(found) else None


def _has(result: ProcessResult, cases: Sequence[str]) -> bool:
    """Whether a process tried all cases that are planned; those of another policy closed at other times."""
    return result.broken is not None or all(case in result.samples_s or case in result.failed for case in cases)


def _open_described(folder: Path, identity: Mapping[str, object], seed: int) -> dict[str, Any]:
    if not (folder / GATE).exists():
        new: dict[str, Any] = {"schema": SCHEMA, "seed": seed, "identity": dict(identity)}
        write_whole(folder / GATE, (json.dumps(new, indent=2, sort_keys=True) + "\n").encode())
        return new
    described = read_described(folder / GATE)
    known = described["identity"]
    differing = sorted(key for key in known.keys() | identity.keys() if known.get(key) != identity.get(key))
    if differing:
        raise InputError(
            f"{folder} holds a gate of another kind ({', '.join(differing)}); remove it, or give a new folder as --out."
        )
    return described


def read_described(path: Path) -> dict[str, Any]:
    """What a ``gate.json`` holds: an identity and a seed at least.

    Raises InputError for a file that cannot be read, or is none.
    """
    described: dict[str, Any]
    try:
        described = parse_object(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, InputError) as error:
        raise InputError(
            f"{path} cannot be read ({error}); restore it from a copy, or measure into a new folder."
        ) from None
    if described.get("schema") != SCHEMA:
        raise InputError(f"{path} has schema {described.get('schema')!r}; this capratio reads {SCHEMA}.")
    if not isinstance(described.get("identity"), dict) or type(described.get("seed")) is not int:
        raise InputError(f"{path} names no identity or no seed; restore it from a copy, or measure into a new folder.")
    return described
