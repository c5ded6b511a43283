"""How well a median is known from its samples, without an assumption on their distribution."""

from collections.abc import Sequence
from math import floor, sqrt
from statistics import median

# Each side of a 95 % interval.
TAIL = 0.025
# With fewer samples the 95 % interval of a median reaches beyond the samples (2^-5 > 0.025).
LEAST_SAMPLES = 6
# Beyond this many samples the binomial distribution is taken as normal, whose quantile this is.
_EXACT_SAMPLES, _NORMAL_QUANTILE = 500, 1.96


def median_interval(samples: Sequence[float]) -> tuple[float, float]:
    """The 95 % interval of the median from order statistics.

    It reaches from the sample of rank r to that of rank n + 1 − r, with the largest r so that a fair coin shows under r
    heads in n throws with a probability of 2.5 % at most.

    Args: samples: at least 6.

    Source: Conover, Practical Nonparametric Statistics, section 3.2, our reading.
    """
    ordered, rank = sorted(samples), _rank(len(samples))
    return ordered[rank - 1], ordered[len(samples) - rank]


def relative_noise(samples: Sequence[float]) -> float:
    """Half the 95 % interval of the median over the median; infinite with under 6 samples or a median of 0."""
    if len(samples) < LEAST_SAMPLES:
        return float("inf")
    middle = median(samples)
    low, high = median_interval(samples)
    return (high - low) / 2 / middle if middle > 0 else float("inf")


def _rank(n: int) -> int:
    if n > _EXACT_SAMPLES:
        return floor(n / 2 - _NORMAL_QUANTILE * sqrt(n) / 2)
    # The probability of `rank` heads, and of at most that many.
    exactly = at_most = 0.5**n
    rank = 0
    while at_most <= TAIL:
        rank += 1
        exactly *= (n - rank + 1) / rank
        at_most += exactly
    return rank
