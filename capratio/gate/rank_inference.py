"""What processes say about a log ratio, by ranks alone: an estimate, its bounds, and exact p-values.

Pairs are held against a threshold by Wilcoxon's signed ranks, two independent sides by Mann and Whitney's rank sums.
Both count how many of some differences lie above it (the means of all pairs of log ratios; the differences between any
head and any base), so that the test, Hodges and Lehmann's estimate and the bounds come from one list and never
contradict one another. Latencies need not be normal, and a wild process moves little.

Source: Hodges & Lehmann 1963, "Estimates of location based on rank tests", our reading.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import comb, exp, inf

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]

# Beyond so many differences the normal approximation replaces exact counts; its error is then in the fourth digit.
MOST_EXACT = 5000
# The logarithm of the largest float, rounded down.
LARGEST_LOG = 709.0
# Samples of a side that are compared, evenly spaced ones of more: a million differences say no less than a billion.
MOST_SAMPLES = 1000


@dataclass(frozen=True, slots=True)
class RankInference:
    """Differences of logarithms, and how likely so many of them lie above a threshold that is the truth.

    differences: (M,), ascending. tail: (M + 1,), tail[c] is the chance that c or more of them lie above it. degrees:
    processes beyond those that an estimate of the spread uses up.
    """

    differences: Floats
    tail: Floats
    degrees: int

    @property
    def estimate(self) -> float:
        """Hodges and Lehmann's: the median of the differences."""
        return float(np.median(self.differences))

    @property
    def least_p(self) -> float:
        """The smallest p-value that so many processes can give."""
        return float(self.tail[-1])

    def p_above(self, threshold: float) -> float:
        """The chance of data so far above, were the truth at the threshold or below."""
        return float(self.tail[np.count_nonzero(self.differences > threshold)])

    def p_below(self, threshold: float) -> float:
        """The chance of data so far below, were the truth at the threshold or above."""
        return float(self.tail[np.count_nonzero(self.differences < threshold)])

    def low(self, alpha: float) -> float:
        """The bound that the truth lies above but for a chance of alpha; -inf where the processes are too few."""
        count = int(np.searchsorted(-self.tail, -alpha))
        return float(self.differences[-count]) if count < len(self.tail) else -np.inf

    def high(self, alpha: float) -> float:
        """The bound that the truth lies below but for a chance of alpha; inf where the processes are too few."""
        count = int(np.searchsorted(-self.tail, -alpha))
        return float(self.differences[count - 1]) if count < len(self.tail) else np.inf


def paired(log_ratios: Sequence[float]) -> RankInference:
    """Of the log ratio of head over base in each pair of processes: at least one pair."""
    ratios = np.asarray(log_ratios, dtype=np.float64)
    first, second = np.triu_indices(len(ratios))
    return RankInference(
        np.sort((ratios[first] + ratios[second]) / 2.0), _signed_rank_tail(len(ratios)), len(ratios) - 1
    )


def unpaired(base: Sequence[float], head: Sequence[float]) -> RankInference:
    """Of the logarithms of each side's processes, which are independent: at least one a side."""
    first, second = _thinned(base), _thinned(head)
    differences = np.sort((second[:, None] - first[None, :]).ravel())
    return RankInference(differences, _rank_sum_tail(len(first), len(second)), len(first) + len(second) - 2)


def ratio_of(logarithm: float) -> float:
    """A ratio from its logarithm; inf where no float holds it."""
    return exp(logarithm) if logarithm < LARGEST_LOG else inf


def fewest_a_side(alpha: float) -> int:
    """The independent processes a side from which a p-value can reach alpha: n of n! n! / (2n)! <= alpha."""
    return next(n for n in range(1, 64) if 1.0 / comb(2 * n, n) <= alpha)


def _thinned(values: Sequence[float]) -> Floats:
    every = np.asarray(values, dtype=np.float64)
    return every if len(every) <= MOST_SAMPLES else every[np.linspace(0, len(every) - 1, MOST_SAMPLES).astype(int)]


@lru_cache(maxsize=64)
def _signed_rank_tail(pairs: int) -> Floats:
    """Of the 2^n ways to give n ranks a sign, the share with a sum of positive ranks of c or more."""
    most = pairs * (pairs + 1) // 2
    if most > MOST_EXACT:
        return _normal_tail(most, most * (2 * pairs + 1) / 12.0)
    ways = np.ones(1)
    for rank in range(1, pairs + 1):
        with_rank = np.zeros(len(ways) + rank)
        with_rank[: len(ways)] += ways / 2.0
        with_rank[rank:] += ways / 2.0
        ways = with_rank
    return _shares_from(ways)


@lru_cache(maxsize=64)
def _rank_sum_tail(base: int, head: int) -> Floats:
    """Of the ways to deal base + head ranks to two sides, the share with c or more pairs in which head is larger."""
    most = base * head
    if most > MOST_EXACT:
        return _normal_tail(most, most * (base + head + 1) / 12.0)
    # The ways with u such pairs are the coefficients of x^u in the product over i of (1 - x^(base + i)) / (1 - x^i).
    ways = np.zeros(most + 1, dtype=object)
    ways[0] = 1
    for i in range(1, head + 1):
        for u in range(most, base + i - 1, -1):
            ways[u] -= ways[u - base - i]
        for u in range(i, most + 1):
            ways[u] += ways[u - i]
    return _shares_from(np.array([float(count) for count in ways]))


def _shares_from(ways: Floats) -> Floats:
    return np.asarray(np.cumsum(ways[::-1])[::-1] / ways.sum())


def _normal_tail(most: int, variance: float) -> Floats:
    counts = np.arange(most + 1)
    return np.asarray(stats.norm.sf((counts - 0.5 - most / 2.0) / np.sqrt(variance)))
