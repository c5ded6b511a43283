"""A selftest as JSON: what was found, by which policy, of which commit, and on which machine."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from capratio.errors import InputError
from capratio.gate.policy import MOST_BLOCKS, Policy
from capratio.gate.selftest import Selftest
from capratio.records.strict_json import parse_object
from capratio.records.typed import build

SELFTEST = "selftest.json"
SCHEMA = 1


@dataclass(frozen=True, slots=True)
class SelftestRecord:
    """A selftest with what it rests on. commit: that was held against itself. machine: its description."""

    commit: str
    policy: Policy
    machine: Mapping[str, Any]
    result: Selftest

    @property
    def date(self) -> str:
        """The day on which the first run began, ISO; empty without a run."""
        return min((run.started_at[:10] for run in self.result.runs), default="")


def encode_selftest(record: SelftestRecord) -> str:
    """The record as indented JSON; the same record gives the same text."""
    described = {
        "schema": SCHEMA,
        "date": record.date,
        "commit": record.commit,
        "policy": asdict(record.policy),
        "machine": dict(record.machine),
        "result": asdict(record.result),
    }
    return json.dumps(described, indent=1, allow_nan=False) + "\n"


def read_selftest(folder: Path) -> SelftestRecord:
    """What ``encode_selftest`` wrote into a folder of runs or a report.

    Raises InputError for a folder without it, a file that is damaged or of another schema, and a policy out of range.
    """
    path = folder / SELFTEST
    if not path.is_file():
        raise InputError(
            f"{folder} has no {SELFTEST}; give the folder of a selftest that was finished, or of its report."
        )
    try:
        return _decode(parse_object(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, InputError) as error:
        raise InputError(f"{path} cannot be used ({error}); run the selftest again, or restore a copy.") from None


def _decode(found: Mapping[str, object]) -> SelftestRecord:
    if found.get("schema") != SCHEMA:
        raise InputError(f"its schema is {found.get('schema')!r}, and this capratio reads {SCHEMA}")
    commit, machine = found.get("commit"), found.get("machine")
    if not isinstance(commit, str) or not isinstance(machine, dict):
        raise InputError("it names no commit or no machine")
    policy = build(Policy, found.get("policy"), "policy")
    if not 0 < policy.alpha < 1 or not policy.anchor > 0 or not policy.latency >= 0 or not _ascending(policy.blocks):
        raise InputError("its policy is out of range")
    return SelftestRecord(commit, policy, machine, build(Selftest, found.get("result"), "result"))


def _ascending(blocks: tuple[int, ...]) -> bool:
    return bool(blocks) and sorted(set(blocks)) == list(blocks) and 1 <= blocks[0] <= blocks[-1] <= MOST_BLOCKS
