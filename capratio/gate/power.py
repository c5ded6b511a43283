"""What a run could have seen: the spread between its processes, and its chance to find a slowdown of a given size."""

from collections.abc import Sequence
from math import log1p, sqrt
from statistics import median, stdev

import numpy as np
from scipy import stats

# The median absolute deviation of a normal distribution, in standard deviations, is one over this.
MAD = 1.4826


def ratio_spread(log_ratios: Sequence[float]) -> float:
    """The standard deviation of log ratios, by their median absolute deviation: a wild process counts once."""
    middle = median(log_ratios)
    return MAD * median(abs(ratio - middle) for ratio in log_ratios)


def wide_spread(log_ratios: Sequence[float]) -> float:
    """The larger of the two standard deviations: ranks of few blocks feel a wild process, which the median does not."""
    return max(ratio_spread(log_ratios), stdev(log_ratios))


def process_spread(log_ratios: Sequence[float]) -> float:
    """The standard deviation between the processes of a pair, a share: of processes that take turns, without drift."""
    return ratio_spread(log_ratios) / sqrt(2)


def power(spread: float, blocks: int, budget: float, slowdown: float, alpha: float) -> float:
    """The chance that a slowdown's p-value falls under alpha; the estimate is taken as Student's.

    Args: spread: standard deviation of the log ratios. blocks: pairs, 2 or more. budget, slowdown: shares. alpha: of
    one case, after the correction for their number.
    """
    if 2.0**-blocks > alpha:
        return 0.0
    shift = log1p(slowdown) - log1p(budget)
    if spread == 0:
        return 1.0 if shift > 0 else 0.0
    error = spread / sqrt(blocks)
    return float(np.clip(stats.nct.sf(stats.t.isf(alpha, blocks - 1), blocks - 1, shift / error), 0.0, 1.0))
