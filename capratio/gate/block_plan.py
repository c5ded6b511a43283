"""Which processes a gate runs, and in which order: blocks of one process a side that take turns, at random, by a seed.

Some blocks have a second process of base, so that base is also held against itself.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

BASE, HEAD, AGAIN = "base", "head", "again"
# What a block is for: to see which cases run and to count, to be compared, to confirm.
TRIAL, PAIR, CONFIRM = "trial", "pair", "confirm"
# Every so many blocks base is measured twice.
AGAIN_EVERY = 4
# Passes through all cases that each process of a block makes.
ROUNDS = 6

Key = tuple[str, int, str]


@dataclass(frozen=True, slots=True)
class BlockPlan:
    """Processes that live at the same time, of which one runs at a time.

    block: its number in its stage. turns: the order of the sides in each round. cases: ids. seed: of the order of the
    cases, which is the same on all sides.
    """

    stage: str
    block: int
    turns: tuple[tuple[str, ...], ...]
    cases: tuple[str, ...]
    seed: int

    @property
    def sides(self) -> tuple[str, ...]:
        """The sides, in the order of their first turns; ``again`` is base's second process."""
        return self.turns[0]

    def key(self, side: str) -> Key:
        """What no two processes of a run share."""
        return self.stage, self.block, side


def plan_trial(cases: Sequence[str], seed: int) -> BlockPlan:
    """The block that shows which cases a side has, and counts what is compared exactly."""
    return BlockPlan(TRIAL, 0, ((BASE, HEAD),), tuple(cases), seed)


def plan_block(block: int, cases: Sequence[str], seed: int) -> BlockPlan:
    """A block that is compared: in each round the sides run in an order of their own."""
    draw = random.Random(f"{seed} {block}")
    sides = [BASE, HEAD, AGAIN] if block % AGAIN_EVERY == AGAIN_EVERY - 1 else [BASE, HEAD]
    turns = tuple(tuple(draw.sample(sides, len(sides))) for _ in range(ROUNDS))
    return BlockPlan(PAIR, block, turns, tuple(cases), draw.getrandbits(32))


def plan_confirmation(block: int, cases: Sequence[str], seed: int) -> BlockPlan:
    """A block that measures again what regressed: its sides run in the reverse of the order that the block had."""
    first = plan_block(block, cases, seed)
    turns = tuple(tuple(side for side in reversed(order) if side != AGAIN) for order in first.turns)
    return BlockPlan(CONFIRM, block, turns, tuple(cases), random.Random(f"{seed} {block} {CONFIRM}").getrandbits(32))
