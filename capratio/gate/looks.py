"""When a gate looks at its data, and which share of alpha each look may spend, so that looking often costs nothing.

Alpha is spent by halves: the first look half of it, each later one half of what is left, the last one all of it. The
shares add up to alpha, and by Bonferroni's bound so do the chances of a false regression, whatever the looks decide.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Look:
    """blocks: pairs of processes at which the data are looked at. alpha: what this look may spend."""

    blocks: int
    alpha: float


def plan_looks(blocks: Sequence[int], alpha: float) -> list[Look]:
    """The looks of a run, none without blocks; blocks: ascending."""
    left, looks = alpha, []
    for count in blocks:
        spent = left if count == blocks[-1] else left / 2
        looks.append(Look(count, spent))
        left -= spent
    return looks
