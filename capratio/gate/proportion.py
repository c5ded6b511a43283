"""A share that was counted, with its exact interval.

Source: Clopper & Pearson 1934.
"""

from dataclasses import dataclass

from scipy import stats

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Proportion:
    """count of so many tries."""

    count: int
    tries: int

    @property
    def share(self) -> float:
        """The share that was seen; of no try, 0."""
        return self.count / self.tries if self.tries else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """The exact 95 % interval; of no try, 0 to 1."""
        if not self.tries:
            return 0.0, 1.0
        found = stats.binomtest(self.count, self.tries).proportion_ci(CONFIDENCE, "exact")
        return float(found.low), float(found.high)
