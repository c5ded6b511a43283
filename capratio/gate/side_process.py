"""The processes of a block: the sweep's side worker, started by each side's interpreter, which then take turns."""

import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import capratio
from capratio.gate.block_plan import AGAIN, BASE, HEAD, TRIAL, BlockPlan
from capratio.gate.process_result import ProcessResult
from capratio.watched_process import Death, WatchedProcess, with_threads

HOME = Path(capratio.__file__).parent.parent
WORKER = HOME / "capratio" / "sweep" / "side_worker.py"
# Of weights and inputs; both sides see the same.
WEIGHTS_SEED = 1000
# Seconds in which a process has to import what it needs, whatever a case may take.
START_LIMIT_S = 120.0


@dataclass(frozen=True, slots=True)
class SideEnvironment:
    """What measures a side.

    python: its interpreter. own: whether it brings a capratio of its own, by which its layers are built. inside:
    folders that hold what is the side's. paths: folders that come first on its path. slowdowns: case → the share that
    its calls are slowed down by, with which gates are tested.
    """

    python: str
    own: bool
    inside: tuple[str, ...]
    paths: tuple[str, ...] = ()
    slowdowns: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MeasuredCase:
    """A case as the worker is told of it."""

    id: str
    described: Mapping[str, Any]
    threads: int
    sampling: Mapping[str, Any]

    @property
    def case_time_limit_s(self) -> float:
        """Seconds after which a process that says nothing is killed."""
        return float(self.sampling["case_time_limit_s"])


class SideProcesses:
    """Runs planned blocks: base and its second process in base's environment, head in head's."""

    def __init__(self, base: SideEnvironment, head: SideEnvironment, cases: Sequence[MeasuredCase]) -> None:
        self._environments = {BASE: base, AGAIN: base, HEAD: head}
        self._cases = {case.id: case for case in cases}

    def measure(self, plan: BlockPlan) -> dict[str, ProcessResult]:
        """What each side's process measured; where one dies, the block begins again without the case that killed it."""
        lost: dict[str, dict[str, str]] = {side: {} for side in plan.sides}
        spent_s = dict.fromkeys(plan.sides, 0.0)
        while True:
            members = self._run(plan, [case for case in plan.cases if not any(case in each for each in lost.values())])
            died = [member for member in members if member.killed_by is not None]
            for member in members:
                spent_s[member.side] += member.took_s
            for member in died:
                lost[member.side][str(member.killed_by)] = str(member.death)
            if not died:
                return {m.side: m.result(plan, lost[m.side], spent_s[m.side]) for m in members}

    def _run(self, plan: BlockPlan, ids: Sequence[str]) -> "list[_Member]":
        members: dict[str, _Member] = {}
        with ExitStack() as processes:
            for side in plan.sides:
                members[side] = processes.enter_context(self._started(plan, side, ids))
            for order in plan.turns:
                for side in order:
                    if any(member.death for member in members.values()):
                        return list(members.values())
                    members[side].take_turn()
            for member in members.values():
                member.finish()
        return list(members.values())

    @contextmanager
    def _started(self, plan: BlockPlan, side_name: str, ids: Sequence[str]) -> "Iterator[_Member]":
        side = self._environments[side_name]
        cases = [self._cases[each] for each in ids]
        message = {
            "home": str(HOME),
            "paths": side.paths,
            "own": side.own,
            "inside": side.inside,
            "cases": [
                {"id": c.id, "described": c.described, "threads": c.threads, "sampling": c.sampling} for c in cases
            ],
            "seed": plan.seed,
            "weights_seed": WEIGHTS_SEED,
            "slowdowns": dict(side.slowdowns),
            "count": plan.stage == TRIAL,
            "rounds": len(plan.turns),
        }
        # The side's packages are those of its environment.
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        threads = max((case.threads for case in cases), default=1)
        limit_s = max((case.case_time_limit_s for case in cases), default=START_LIMIT_S)
        with WatchedProcess([side.python, "-P", str(WORKER)], with_threads(environment, threads)) as process:
            member = _Member(side_name, process, limit_s)
            member.begin(json.dumps(message))
            yield member


class _Member:
    """One process of a block, and what it has said.

    death: how it died, or None. killed_by: the case that ran then; None where none did. took_s: seconds of its turns.
    """

    def __init__(self, side: str, process: WatchedProcess, limit_s: float) -> None:
        self.side = side
        self.death: str | None = None
        self.killed_by: str | None = None
        self._process, self._limit_s = process, limit_s
        self._started_at, self._loadavg = datetime.now(UTC).isoformat(timespec="seconds"), os.getloadavg()[0]
        self.took_s = 0.0
        self._anchors: list[dict[str, float]] = []
        self._samples_s: dict[str, tuple[float, ...]] = {}
        self._counts: dict[str, dict[str, int]] = {}
        self._failed: dict[str, str] = {}
        self._throttled: list[str] = []
        self._running: str | None = None

    def begin(self, message: str) -> None:
        """Tell the process what to measure, and wait until its cases are built."""
        self._tell_and_wait(message, "ready")
        self._process.pause()

    def take_turn(self) -> None:
        """Let the process make one round through its cases; between its turns not even a thread of it runs."""
        self._process.go_on()
        self._tell_and_wait("round", "round")
        self._process.pause()

    def finish(self) -> None:
        """Let the process say what it measured."""
        if self.death is None:
            self._process.go_on()
            self._tell_and_wait("end", "end")

    def result(self, plan: BlockPlan, lost: Mapping[str, str], spent_s: float) -> ProcessResult:
        """What the process measured; lost: case → how it killed one of this side before; spent_s: by all of them."""
        return ProcessResult(
            plan.stage,
            plan.block,
            self.side,
            self._started_at,
            spent_s,
            self._loadavg,
            tuple(self._anchors),
            self._samples_s,
            self._counts,
            self._failed | dict(lost),
            self.death,
            tuple(self._throttled),
        )

    def _tell_and_wait(self, line: str, for_event: str) -> None:
        began_s = time.monotonic()
        self._process.tell(line)
        while self.death is None:
            event = self._process.event(START_LIMIT_S if self._running is None else self._limit_s)
            if isinstance(event, Death):
                self.death, self.killed_by = f"{event.status}: {event.reason}", self._running
            elif event is None:
                self.death, self.killed_by = "its process ended before it was done", self._running
            elif event.get("done") == for_event:
                self._running = None
                break
            else:
                self._take(event)
        self.took_s += time.monotonic() - began_s

    def _take(self, event: dict[str, Any]) -> None:
        if "anchor" in event:
            self._running = None
            self._anchors.append(event["anchor"])
        elif "starts" in event:
            self._running = event["starts"]
        elif "failed" in event:
            self._failed[event["failed"]] = event["reason"]
        else:
            # A clock ticks in nanoseconds: what stands behind them is the noise of its own arithmetic.
            self._samples_s[event["measured"]] = tuple(round(sample_s, 9) for sample_s in event["samples_s"])
            if event["counts"]:
                self._counts[event["measured"]] = event["counts"]
            if event["throttled"]:
                self._throttled.append(event["measured"])
