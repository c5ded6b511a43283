"""Gates that might have been: blocks of commits that are equal, with the labels of their sides drawn anew.

The order of the blocks and the drift of the machine stay as they were; what comes out is conditional on them. A
slowdown is put in by scaling what head took.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from capratio.gate.block_plan import AGAIN, BASE, CONFIRM, HEAD, TRIAL, BlockPlan
from capratio.gate.blocks_run import BlocksRun, run_blocks
from capratio.gate.policy import Policy
from capratio.gate.process_result import ProcessResult
from capratio.gate.validity import Block


class Silent:
    """A watcher who says nothing."""

    def began(self, stage: str, block: int, of: int) -> None:
        """Say nothing."""

    def block_done(self, run: BlocksRun) -> None:
        """Say nothing."""


@dataclass(frozen=True, slots=True)
class Rerandomised:
    """One gate that might have been.

    slowed: the case that was slowed down, or None. regressed: the cases that were called so. blocks: that it took.
    void: whether it said nothing.
    """

    slowed: str | None
    regressed: tuple[str, ...]
    blocks: int
    void: bool

    @property
    def found(self) -> bool:
        """Whether the case that was slowed down was called regressed."""
        return self.slowed in self.regressed


def medians_only(blocks: Sequence[Block]) -> list[Block]:
    """The same blocks with the median of each case as its only sample, which is all that a decision reads."""
    return [
        {
            side: replace(result, samples_s={case: (result.latency_s(case),) for case in result.samples_s})
            for side, result in block.items()
        }
        for block in blocks
    ]


def rerandomise(blocks: Sequence[Block], policy: Policy, seed: int, slowdown: float = 0.0) -> Rerandomised:
    """One gate over blocks of equal commits, from a random one on, each with its sides at random.

    Args: blocks: each with every case on both sides, of ``medians_only``; after the last comes the first again.
    slowdown: a share by which head is slowed down in one case, drawn at random.
    """
    draw = random.Random(seed)
    cases = list(blocks[0][BASE].samples_s)
    slowed = draw.choice(cases) if slowdown else None
    measure = _Recorded(
        blocks, draw.randrange(len(blocks)), policy.blocks[-1], seed, {slowed: slowdown} if slowed else {}
    )
    run = run_blocks(cases, policy, seed, measure, Silent())
    regressed = tuple(case for case, decision in run.decisions.items() if decision.status == "regressed")
    return Rerandomised(slowed, regressed if not run.void else (), len(run.blocks), run.void is not None)


class _Recorded:
    """Gives recorded processes for planned ones; a confirmation has blocks of its own."""

    def __init__(
        self, blocks: Sequence[Block], first: int, most: int, seed: int, slowdowns: Mapping[str, float]
    ) -> None:
        self._blocks, self._first, self._most, self._slowdowns = blocks, first, most, slowdowns
        self._swap = random.Random(f"{seed} sides")
        self._swapped: dict[int, bool] = {}

    def __call__(self, plan: BlockPlan) -> Block:
        place = self._first + plan.block + (self._most if plan.stage == CONFIRM else 0)
        place %= len(self._blocks)
        if place not in self._swapped:
            self._swapped[place] = self._swap.random() < 0.5
        # Base's second process was not kept for every block, and is dealt to none.
        sides = [side for side in plan.sides if side != AGAIN]
        return {side: self._process(plan, side, self._blocks[place], self._swapped[place]) for side in sides}

    def _process(self, plan: BlockPlan, side: str, block: Block, swapped: bool) -> ProcessResult:
        is_head = side == HEAD
        recorded = block[HEAD if is_head != swapped else BASE]
        samples_s = {case: recorded.samples_s[case] for case in plan.cases}
        if is_head and plan.stage != TRIAL:
            for case in self._slowdowns.keys() & samples_s.keys():
                samples_s[case] = (samples_s[case][0] * (1 + self._slowdowns[case]),)
        return replace(
            recorded, stage=plan.stage, block=plan.block, side=side, samples_s=samples_s, counts={}, failed={}
        )
