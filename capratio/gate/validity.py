"""Whether the machine stood still: by work that no commit changes, and by base held against itself."""

from collections.abc import Mapping, Sequence
from math import exp, log
from statistics import median

from capratio.gate.block_plan import AGAIN, BASE, HEAD
from capratio.gate.process_result import ProcessResult
from capratio.gate.rank_inference import paired

# One block of a run: the process of each side.
Block = Mapping[str, ProcessResult]
# A run may set aside this share of the blocks that it needs, and one or two of a short one.
MOST_ASIDE = 1 / 3
FEWEST_ASIDE = 2
# What an anchor may swing from round to round, in multiples of what it may differ between sides.
SWING = 5.0
# However small a budget, a machine need not stand stiller than this, a share.
LEAST_BAR = 0.02
# The chance that anchors on two equal sides differ so clearly.
ANCHOR_ALPHA = 0.001
# What base may differ from itself, in the median over cases and pairs, in multiples of the latency budget.
AGAIN_BUDGETS = 2.0


def moved(block: Block, anchor: float) -> str | None:
    """The anchor by which a machine moved within a block, which is then measured again.

    A device's clock was low; or an anchor read differently beside one side than beside another, by more than a share,
    or from one round to another by more than some such shares: the sides take turns, so that a slow drift does them no
    harm.
    """
    if any(result.throttled for result in block.values()):
        return "the device's clock"
    for name in _names(block):
        middles_s = [result.anchor_s(name) for result in block.values()]
        readings_s = [reading[name] for result in block.values() for reading in result.anchors]
        if max(middles_s) > (1 + anchor) * min(middles_s) or max(readings_s) > (1 + SWING * anchor) * min(readings_s):
            return name
    return None


def most_aside(blocks: int) -> int:
    """How many blocks may be set aside on the way to a number of them."""
    return max(FEWEST_ASIDE, round(MOST_ASIDE * blocks))


def machine_differs(blocks: Sequence[Block], budget: float) -> str | None:
    """Why blocks say nothing: what no commit changes differs between the sides, or base from itself; or None."""
    bar = max(budget, LEAST_BAR)
    return _sides_differ(blocks, bar) or _base_differs_from_itself(blocks, bar)


def _sides_differ(blocks: Sequence[Block], budget: float) -> str | None:
    """Why the sides cannot be compared: an anchor that is clearly another on head than on base."""
    for name in sorted({name for block in blocks for name in _names(block)}):
        ratios = [log(block[HEAD].anchor_s(name) / block[BASE].anchor_s(name)) for block in blocks]
        inference = paired(ratios)
        p = 2 * min(inference.p_above(0.0), inference.p_below(0.0))
        if p <= ANCHOR_ALPHA and abs(inference.estimate) > log(1 + budget) / 2:
            return (
                f"work that no commit changes ({name.removesuffix('_s')}) took {exp(inference.estimate):.3f} times as "
                "long beside head as beside base; measure again on a quiet machine"
            )
    return None


def against_itself(blocks: Sequence[Block]) -> list[float]:
    """The log ratio of base's second process over its first, median over cases, in each block that has one."""
    shifts = []
    for block in blocks:
        if AGAIN in block:
            cases = [case for case in block[BASE].samples_s if case in block[AGAIN].samples_s]
            if cases:
                ratios = (block[AGAIN].latency_s(case) / block[BASE].latency_s(case) for case in cases)
                shifts.append(log(median(ratios)))
    return shifts


def _base_differs_from_itself(blocks: Sequence[Block], budget: float) -> str | None:
    """Why nothing can be said: base against base shows a change of all cases."""
    shifts = against_itself(blocks)
    if len(shifts) > 1 and abs(median(shifts)) > AGAIN_BUDGETS * log(1 + budget):
        return (
            f"base measured against itself differed by a factor of {exp(median(shifts)):.3f}; measure again on a quiet "
            "machine"
        )
    return None


def _names(block: Block) -> list[str]:
    return sorted({name for result in block.values() for reading in result.anchors for name in reading})
