"""The slope of a law from point to point, where no fit smooths it."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import log, sqrt

from capratio.scaling.verdict import FitPoint


@dataclass(frozen=True, slots=True)
class LocalSlope:
    """Slope of log y over log x between two neighbouring points, at their geometric middle x."""

    x: float
    slope: float


def local_slopes(points: Sequence[FitPoint]) -> tuple[LocalSlope, ...]:
    """Slopes between neighbours in x; points without a positive x and y, or below resolution, are left out.

    They have no interval and decide nothing: they show where a law bends.
    """
    kept = sorted((p.x, p.y) for p in points if p.x > 0 and p.y > 0 and p.resolved)
    return tuple(
        LocalSlope(sqrt(x0 * x1), log(y1 / y0) / log(x1 / x0)) for (x0, y0), (x1, y1) in pairwise(kept) if x1 > x0
    )
