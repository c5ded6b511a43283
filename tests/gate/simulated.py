"""A machine that is not there: latencies with a known spread and known slowdowns, for runs of blocks."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import exp

from capratio.gate.block_plan import HEAD, TRIAL, BlockPlan
from capratio.gate.process_result import ProcessResult


@dataclass(frozen=True)
class Planned:
    """One process of a planned block."""

    stage: str
    block: int
    side: str
    cases: tuple[str, ...]


Anchor = Callable[[Planned], float]


def by_process(measure: Callable[[Planned], ProcessResult]) -> Callable[[BlockPlan], dict[str, ProcessResult]]:
    """Measures a planned block process by process."""
    return lambda plan: {side: measure(Planned(plan.stage, plan.block, side, plan.cases)) for side in plan.sides}


class SimulatedMachine:
    """Measures planned blocks.

    spread: standard deviation between processes, a share. slowdowns: case → the share by which head is slower. anchor:
    the reading of work that no commit changes, seconds. planned: every process that was measured, in order.
    """

    def __init__(
        self,
        seed: int = 0,
        spread: float = 0.01,
        slowdowns: Mapping[str, float] | None = None,
        anchor: Anchor = lambda plan: 1e-3,
        failing: Callable[[Planned], dict[str, str]] = lambda plan: {},
        broken: str | None = None,
    ) -> None:
        self._draw = random.Random(seed)
        self._spread, self._slowdowns, self._anchor = spread, slowdowns or {}, anchor
        self._failing, self._broken = failing, broken
        self.planned: list[Planned] = []

    def __call__(self, plan: BlockPlan) -> dict[str, ProcessResult]:
        return by_process(self.one)(plan)

    def one(self, plan: Planned) -> ProcessResult:
        """Measure one process."""
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
