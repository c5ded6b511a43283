"""One process of a gate: the sweep's side worker, started by a side's interpreter and watched."""

import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import capratio
from capratio.gate.block_plan import AGAIN, BASE, HEAD, TRIAL, ProcessPlan
from capratio.gate.process_result import ProcessResult
from capratio.watched_process import Death, watch, with_threads

HOME = Path(capratio.__file__).parent.parent
WORKER = HOME / "capratio" / "sweep" / "side_worker.py"
# Of weights and inputs; both sides see the same.
WEIGHTS_SEED = 1000


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
    """A case as the worker is told of it; case_time_limit_s: seconds after which its process is killed."""

    id: str
    described: Mapping[str, Any]
    threads: int
    sampling: Mapping[str, Any]

    @property
    def case_time_limit_s(self) -> float:
        """Seconds after which a process that says nothing is killed."""
        return float(self.sampling["case_time_limit_s"])


class SideProcesses:
    """Runs planned processes: base and its second process in base's environment, head in head's."""

    def __init__(self, base: SideEnvironment, head: SideEnvironment, cases: Sequence[MeasuredCase]) -> None:
        self._environments = {BASE: base, AGAIN: base, HEAD: head}
        self._cases = {case.id: case for case in cases}

    def measure(self, plan: ProcessPlan) -> ProcessResult:
        """What the process measured; where it dies, a fresh one goes on after the case that killed it."""
        started_at, began_s = datetime.now(UTC).isoformat(timespec="seconds"), time.monotonic()
        gathered = _Gathered()
        left = list(plan.cases)
        loadavg = os.getloadavg()[0]
        while left and gathered.broken is None:
            self._run(plan, left, gathered)
            before = len(left)
            left = [case for case in left if case not in gathered.samples_s and case not in gathered.failed]
            if len(left) == before and gathered.broken is None:
                gathered.broken = "its process ended and measured nothing"
        return ProcessResult(
            plan.stage,
            plan.block,
            plan.side,
            started_at,
            time.monotonic() - began_s,
            loadavg,
            tuple(gathered.anchors),
            gathered.samples_s,
            gathered.counts,
            gathered.failed,
            gathered.broken,
        )

    def _run(self, plan: ProcessPlan, ids: Sequence[str], gathered: "_Gathered") -> None:
        side = self._environments[plan.side]
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
        }
        # The side's packages are those of its environment.
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        limit_s = max(case.case_time_limit_s for case in cases)
        threads = max(case.threads for case in cases)
        command = [side.python, "-P", str(WORKER)]
        for event in watch(command, json.dumps(message), with_threads(environment, threads), limit_s):
            gathered.take(event)


class _Gathered:
    """The events of one process, or of those that went on after it."""

    def __init__(self) -> None:
        self.anchors: list[dict[str, float]] = []
        self.samples_s: dict[str, tuple[float, ...]] = {}
        self.counts: dict[str, dict[str, int]] = {}
        self.failed: dict[str, str] = {}
        self.broken: str | None = None
        self._running: str | None = None

    def take(self, event: dict[str, Any] | Death) -> None:
        if isinstance(event, Death):
            self._died(event)
        elif "anchor" in event:
            self.anchors.append(event["anchor"])
        elif "starts" in event:
            self._running = event["starts"]
        else:
            self._running = None
            if "failed" in event:
                self.failed[event["failed"]] = event["reason"]
            else:
                self.samples_s[event["measured"]] = tuple(event["samples_s"])
                if event["counts"]:
                    self.counts[event["measured"]] = event["counts"]

    def _died(self, death: Death) -> None:
        if self._running is None:
            self.broken = f"{death.status}: {death.reason}"
        else:
            self.failed[self._running] = f"{death.status}: {death.reason}"
            self._running = None
