"""A flat law by equivalence: the ratio of each size to the reference with its interval, each inside 1 ± margin."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from capratio.scaling.bootstrap import Floats, draw_locations, interval, location
from capratio.scaling.margins import Margins


@dataclass(frozen=True, slots=True)
class Ratios:
    """y(x) / y(reference) at each size, with intervals; all (n,)."""

    estimates: Floats
    lows: Floats
    highs: Floats

    def inside(self, margin: float) -> bool:
        """Whether every size's whole interval lies inside 1 ± margin."""
        return bool(np.all((self.lows >= 1.0 - margin) & (self.highs <= 1.0 + margin)))

    def outside(self, margin: float) -> Floats:
        """Which sizes have their whole interval outside 1 ± margin: (n,) of bool."""
        return np.asarray((self.highs < 1.0 - margin) | (self.lows > 1.0 + margin))


def ratios(pairs: Sequence[tuple[Floats, Floats]], margins: Margins, rng: np.random.Generator) -> Ratios:
    """The ratio at each size over processes that are paired by replicate.

    Ratios are averaged as logarithms, so that twice and half are as far from 1. Each size is judged by its own
    interval: that all lie inside is a claim on each of them, which needs no correction for their number.

    Args: pairs: for each size (value, reference) of each process, positive.
    """
    logs = [np.log(value) - np.log(reference) for value, reference in pairs]
    ends = [interval(draw_locations(each, margins.bootstrap_draws, rng), margins.confidence) for each in logs]
    return Ratios(
        np.exp(np.array([float(location(each)) for each in logs])),
        np.exp(np.array([float(low) for low, _ in ends])),
        np.exp(np.array([float(high) for _, high in ends])),
    )


def is_flat(values: Sequence[Floats], margins: Margins, rng: np.random.Generator) -> bool:
    """Whether every size lies inside 1 ± ``flat_ratio`` of the mean of all sizes: what is said to grow does not."""
    estimates = np.stack([location(each) for each in values])
    drawn = np.stack([draw_locations(each, margins.bootstrap_draws, rng) for each in values], axis=-1)
    if np.mean(estimates) <= 0 or np.any(np.mean(drawn, axis=1) <= 0):
        return False
    low, high = interval(drawn / np.mean(drawn, axis=1, keepdims=True), margins.confidence)
    return bool(np.all((low >= 1.0 - margins.flat_ratio) & (high <= 1.0 + margins.flat_ratio)))
