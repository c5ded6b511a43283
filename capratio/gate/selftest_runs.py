"""The whole runs of a selftest on the disk: read again without measuring, and published as one archive a run.

A run lies in a folder of its own as it was measured, or beside the others of a report, as ``NAME.json`` and
``NAME.jsonl.gz``.
"""

import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from capratio.errors import InputError
from capratio.gate.block_plan import BlockPlan
from capratio.gate.blocks_run import run_blocks
from capratio.gate.policy import Policy
from capratio.gate.process_result import ProcessResult, decode_result, encode_result
from capratio.gate.process_store import GATE, PROCESSES, read_described, stored_block
from capratio.gate.rerandomise import Silent
from capratio.gate.selftest import SelftestRun
from capratio.gate.validity import Block
from capratio.records.store import read_lines
from capratio.records.whole_file import write_whole

# The highest level of compression; without a time in the archive, equal data give equal bytes.
_LEVEL = 9


@dataclass(frozen=True, slots=True)
class StoredRun:
    """What the disk has of a run. described: its ``gate.json``. processes: in time order."""

    name: str
    described: Mapping[str, Any]
    processes: Sequence[ProcessResult]

    @property
    def cases(self) -> list[str]:
        """The ids of its cases."""
        return [case["id"] for case in self.described["identity"]["cases"]]

    @property
    def slowdowns(self) -> Mapping[str, float]:
        """Case → the share that head was slowed down by."""
        head: Mapping[str, float] = self.described["identity"]["slowdowns"][1]
        return head


def replay(run: StoredRun, policy: Policy) -> SelftestRun:
    """The run as it was when it was measured: every planned block gives what it gave then.

    Raises InputError where a process is missing: the run was not finished, or was made by another policy.
    """
    results = {result.key: result for result in run.processes}

    def measure(plan: BlockPlan) -> Block:
        block = stored_block(results, plan)
        if block is None:
            raise InputError(
                f"the run {run.name} lacks a process of its block {plan.stage} {plan.block}; finish it by the command "
                "that began it, or give the policy that it was made by."
            )
        return block

    return SelftestRun(run_blocks(run.cases, policy, run.described["seed"], measure, Silent()), run.slowdowns)


def read_stored(folder: Path, names: Sequence[str], policy: Policy) -> list[StoredRun]:
    """Runs by their names, from the folder in which they were measured or that of a report.

    Raises InputError for one that is missing or damaged, was made by another policy, or is of other commits, cases or
    another machine than the first.
    """
    runs = [_read(folder, name) for name in names]
    made_by = {"alpha": policy.alpha, "anchor": policy.anchor, "blocks": list(policy.blocks)}
    for run in runs:
        identity, first = run.described["identity"], runs[0].described["identity"]
        keys = sorted((identity.keys() | first.keys()) - {"slowdowns"})
        differing = [key for key in keys if identity.get(key) != first.get(key)]
        if differing:
            raise InputError(
                f"the runs {runs[0].name} and {run.name} of {folder} differ in {', '.join(differing)}; give a folder "
                "whose runs are of one selftest."
            )
        if identity["policy"] != made_by:
            raise InputError(f"the run {run.name} of {folder} was made by {identity['policy']}, not by {made_by}.")
    return runs


def publish(run: StoredRun, folder: Path) -> None:
    """Write a run beside the others of a report; the same run gives the same bytes, whole or not at all.

    Raises OSError from the system.
    """
    described, processes = _published(folder, run.name)
    lines = "".join(f"{encode_result(result)}\n" for result in run.processes)
    write_whole(described, (json.dumps(run.described, indent=2, sort_keys=True) + "\n").encode())
    write_whole(processes, gzip.compress(lines.encode(), _LEVEL, mtime=0))


def _published(folder: Path, name: str) -> tuple[Path, Path]:
    return folder / f"{name}.json", folder / f"{name}.jsonl.gz"


def _read(folder: Path, name: str) -> StoredRun:
    # A name from a file is no way out of the folder.
    if not name.replace("-", "").isalnum():
        raise InputError(f"{folder} names a run {name!r}; names are of letters, digits and hyphens.")
    measured = folder / name / GATE, folder / name / PROCESSES
    described, processes = measured if measured[0].is_file() else _published(folder, name)
    if not described.is_file():
        raise InputError(f"{folder} has no run {name}; give the folder of a selftest, or of its report.")
    results, _ = read_lines(processes, decode_result)
    return StoredRun(name, _described(described), results)


def _described(path: Path) -> Mapping[str, Any]:
    found = read_described(path)
    if not _is_whole(found["identity"]):
        raise InputError(f"{path} lacks its cases, its slowdowns or its policy; restore it from a copy.")
    return found


def _is_whole(identity: Mapping[str, Any]) -> bool:
    cases, slowdowns = identity.get("cases"), identity.get("slowdowns")
    return (
        isinstance(cases, list)
        and all(isinstance(case, dict) and isinstance(case.get("id"), str) for case in cases)
        and isinstance(slowdowns, list)
        and len(slowdowns) == 2
        and all(isinstance(each, dict) for each in slowdowns)
        and all(isinstance(share, int | float) for share in slowdowns[1].values())
        and isinstance(identity.get("policy"), dict)
    )
