"""A machine that is not there: latencies with a known spread and known slowdowns, for runs of blocks."""

import random
from collections.abc import Callable, Mapping
from math import exp

from capratio.gate.block_plan import HEAD, TRIAL, ProcessPlan
from capratio.gate.process_result import ProcessResult

Anchor = Callable[[ProcessPlan], float]


class SimulatedMachine:
    """Measures planned processes.

    spread: standard deviation between processes, a share. slowdowns: case → the share by which head is slower. anchor:
    the reading of work that no commit changes, seconds. counts: what a trial counts at head. planned: every plan that
    was measured, in order.
    """

    def __init__(
        self,
        seed: int = 0,
        spread: float = 0.01,
        slowdowns: Mapping[str, float] | None = None,
        anchor: Anchor = lambda plan: 1e-3,
        failing: Callable[[ProcessPlan], dict[str, str]] = lambda plan: {},
        broken: str | None = None,
    ) -> None:
        self._draw = random.Random(seed)
        self._spread, self._slowdowns, self._anchor = spread, slowdowns or {}, anchor
        self._failing, self._broken = failing, broken
        self.planned: list[ProcessPlan] = []

    def __call__(self, plan: ProcessPlan) -> ProcessResult:
        self.planned.append(plan)
        failed = {case: why for case, why in self._failing(plan).items() if case in plan.cases}
        measured = [case for case in plan.cases if case not in failed]
        return ProcessResult(
            plan.stage,
            plan.block,
            plan.side,
            "2026-05-04T10:00:00+00:00",
            took_s=10.0,
            loadavg=0.1,
            anchors=({"product_s": self._anchor(plan)}, {"product_s": self._anchor(plan)}),
            samples_s={}
            if self._broken == plan.side
            else {case: (self._latency_s(case, plan.side),) for case in measured},
            counts={case: {"flop": 100} for case in measured} if plan.stage == TRIAL else {},
            failed=failed,
            broken="it does not import" if self._broken == plan.side else None,
        )

    def _latency_s(self, case: str, side: str) -> float:
        slower = 1 + self._slowdowns.get(case, 0.0) if side == HEAD else 1.0
        return 1e-4 * exp(self._draw.gauss(0, self._spread)) * slower


class SilentWatcher:
    """A watcher who says nothing."""

    def began(self, stage: str, block: int, of: int) -> None:
        """Say nothing."""

    def block_done(self, run: object) -> None:
        """Say nothing."""
