"""How well a median is known from its samples, without an assumption on their distribution."""

from collections.abc import Sequence
from math import ceil, floor, sqrt
from statistics import median

# Of a 95 % interval of the normal distribution, which the binomial one of a median's rank nears.
_TWO_SIDED_95 = 1.96
# With fewer samples the 95 % interval of a median reaches beyond the samples (2 · 2^-5 > 0.05).
LEAST_SAMPLES = 6


def median_interval(samples: Sequence[float]) -> tuple[float, float]:
    """The 95 % interval of the median from order statistics: the samples of rank n/2 ∓ 1.96 √n / 2.

    Args: samples: at least 6.

    Source: Conover, Practical Nonparametric Statistics, section 3.2, our reading.
    """
    ordered, n = sorted(samples), len(samples)
    reach = _TWO_SIDED_95 * sqrt(n) / 2
    low = max(floor(n / 2 - reach) - 1, 0)
    high = min(ceil(n / 2 + reach), n - 1)
    return ordered[low], ordered[high]


def relative_noise(samples: Sequence[float]) -> float:
    """Half the 95 % interval of the median over the median; infinite with under 6 samples or a median of 0."""
    if len(samples) < LEAST_SAMPLES:
        return float("inf")
    middle = median(samples)
    low, high = median_interval(samples)
    return (high - low) / 2 / middle if middle > 0 else float("inf")
