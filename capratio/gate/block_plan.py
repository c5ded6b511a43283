"""Which processes a gate runs, and in which order: blocks of one process a side, sides and cases at random, by a seed.

Some blocks have a second process of base, so that base is also held against itself.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

BASE, HEAD, AGAIN = "base", "head", "again"
# What a process is for: to see which cases run and to count, to be compared, to confirm.
TRIAL, PAIR, CONFIRM = "trial", "pair", "confirm"
# Every so many blocks base is measured twice.
AGAIN_EVERY = 4


@dataclass(frozen=True, slots=True)
class ProcessPlan:
    """One process. block: its block in its stage. side: ``base``, ``head``, or ``again`` for base's second process.

    cases: ids. seed: of their order, which is the same for all processes of a block.
    """

    stage: str
    block: int
    side: str
    cases: tuple[str, ...]
    seed: int

    @property
    def key(self) -> tuple[str, int, str]:
        """What no two processes of a run share."""
        return self.stage, self.block, self.side


def plan_trial(side: str, cases: Sequence[str], seed: int) -> ProcessPlan:
    """The process that shows which cases a side has, and counts what is compared exactly."""
    return ProcessPlan(TRIAL, 0, side, tuple(cases), seed)


def plan_block(block: int, cases: Sequence[str], seed: int) -> list[ProcessPlan]:
    """The processes of a block, in the order in which they run."""
    shuffle = random.Random(f"{seed} {block}")
    sides = [BASE, HEAD, AGAIN] if block % AGAIN_EVERY == AGAIN_EVERY - 1 else [BASE, HEAD]
    shuffle.shuffle(sides)
    case_seed = shuffle.getrandbits(32)
    return [ProcessPlan(PAIR, block, side, tuple(cases), case_seed) for side in sides]


def plan_confirmation(block: int, cases: Sequence[str], seed: int) -> list[ProcessPlan]:
    """The processes that measure again what regressed, in the reverse of the order that the same block had."""
    sides = [plan.side for plan in plan_block(block, cases, seed) if plan.side != AGAIN]
    case_seed = random.Random(f"{seed} {block} {CONFIRM}").getrandbits(32)
    return [ProcessPlan(CONFIRM, block, side, tuple(cases), case_seed) for side in reversed(sides)]
