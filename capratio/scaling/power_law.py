"""The fit y = c0 + a·x^b with an interval for b: a profile over b, with least squares for c0 and a at each b."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from capratio.scaling.bootstrap import Floats, draw_all, interval, location
from capratio.scaling.margins import Margins
from capratio.scaling.spread import standard_errors

# What c0 may be: anything, or at least 0.
Floor = Literal["free", "not negative"]

# Steps of the coarse grid, and points of the fine one about its best: steps of 0.001, at which a parabola through three
# neighbours finds the top. A floor that is just allowed gives the profile a corner, which a coarse parabola cuts.
_STEP = 0.02
_FINE = 41
# Gauss-Newton on the logarithm settles to 1e-6 within these from the points themselves.
_ROUNDS = 8


@dataclass(frozen=True, slots=True)
class PowerFit:
    """A fitted power law.

    exponent, low, high: b and its interval. floor: c0, in the unit of y. scale: a, unit of y over x^b.
    """

    exponent: float
    low: float
    high: float
    floor: float
    scale: float

    def at(self, x: Floats) -> Floats:
        """c0 + a·x^b."""
        return np.asarray(self.floor + self.scale * x**self.exponent)


def fit_difference(
    x: Floats, values: Sequence[Floats], levels: Floats, margins: Margins, rng: np.random.Generator
) -> PowerFit:
    """Fit paired differences: weighted least squares on the linear scale, the floor free and anchored by nothing.

    A size weighs 1 / s², s its standard error from the spread between processes. A difference may be negative, which a
    logarithm cannot take; sizes below resolution stay in with their small weight, since leaving them out would keep the
    large ones among them.

    Args: x: sizes (n,), positive. values: for each size the difference of each process, seconds. levels: (n,) what the
    difference was taken from, seconds; its noise is in proportion to it.
    """
    weights = 1.0 / standard_errors(values, levels) ** 2
    estimates = np.stack([location(each) for each in values])
    drawn = draw_all(values, margins.bootstrap_draws, rng)
    # The weights are the measurement's, the same for every draw.
    exponents = _exponents(x, np.vstack([estimates, drawn]), weights, margins, "free")
    return _finished(x, estimates, weights, exponents, margins, "free")


def fit_total(x: Floats, values: Sequence[Floats], margins: Margins, rng: np.random.Generator) -> PowerFit:
    """Fit totals: least squares of log y - log(c0 + a·x^b), with c0 not negative.

    At each b, c0 and a take Gauss-Newton rounds: with r = log y - log ŷ, the working value ŷ (1 + r) is fitted by least
    squares of weights 1 / ŷ². Draws lie within the noise of the estimate, and take one round from its curve.

    Args: x: sizes (n,), positive. values: for each size the total of each process, positive.
    """
    logs = [np.log(each) for each in values]
    target = np.stack([location(each) for each in logs])
    curve = np.exp(target)
    for _ in range(_ROUNDS):
        working, weights = _working(target, curve)
        exponents = _exponents(x, working[None, :], weights, margins, "not negative")
        curve = _finished(x, working, weights, exponents, margins, "not negative").at(x)
    drawn = draw_all(logs, margins.bootstrap_draws, rng)
    working, weights = _working(np.vstack([target, drawn]), curve)
    exponents = _exponents(x, working, weights, margins, "not negative")
    return _finished(x, working[0], weights, exponents, margins, "not negative")


def _working(target: Floats, curve: Floats) -> tuple[Floats, Floats]:
    # Beyond a factor of e the logarithm is too far from straight for one step.
    residual = np.clip(target - np.log(curve), -1.0, 1.0)
    return curve * (1.0 + residual), 1.0 / curve**2


def _exponents(x: Floats, y: Floats, weights: Floats, margins: Margins, floor: Floor) -> Floats:
    """The b of least residual for each row of y (draws, n): on a coarse grid, then on a fine one about its best."""
    lowest = margins.smallest_exponent if floor == "free" else _STEP
    scaled, weights = x / _middle(x), weights / weights.sum()
    coarse = np.arange(lowest, margins.largest_exponent + _STEP / 2, _STEP)[None, :]
    best = coarse[0, np.argmax(_explained(scaled, coarse, y, weights, floor), axis=1)]
    near = best[:, None] + np.linspace(-_STEP, _STEP, _FINE)
    fine = np.clip(near, coarse[0, 0], coarse[0, -1])
    return _refined(fine, _explained(scaled, fine, y, weights, floor))


def _explained(scaled: Floats, b: Floats, y: Floats, weights: Floats, floor: Floor) -> Floats:
    """What a curve of each exponent takes off Σ w y²: (draws, exponents).

    Beside the constant, h_b(x) = (x^b - 1) / b spans what x^b spans, and is log x at b = 0. Only growth is fitted: for
    a row that falls, every b is as good as a constant, and the smallest is taken.

    Args: b: (draws, exponents), or (1, exponents) for all draws alike. y: (draws, n).
    """
    basis = _basis(scaled, b)
    centres, means = basis @ weights, (y @ weights)[:, None]
    centred = basis - centres[..., None]
    spread = np.maximum((centred**2) @ weights, np.finfo(float).tiny)
    slope = _products(centred, (y - means) * weights) / spread
    explained = means**2 + np.where(slope > 0, slope**2 * spread, 0.0)
    if floor == "not negative":
        # y = α + s·h_b has c0 = α - s / b; where that is negative, the best that is allowed has c0 = 0.
        negative = means - slope * (centres + 1.0 / b) < 0
        explained = np.where(negative, _through_origin(scaled, b, y, weights), explained)
    return np.asarray(explained)


def _middle(x: Floats) -> float:
    return float(np.exp(np.mean(np.log(x))))


def _basis(scaled: Floats, b: Floats) -> Floats:
    exponents, logs = b[..., None], np.log(scaled)
    near_zero = np.abs(exponents) < 1e-6
    safe = np.where(near_zero, 1.0, exponents)
    return np.asarray(np.where(near_zero, logs, np.expm1(safe * logs) / safe))


def _through_origin(scaled: Floats, b: Floats, y: Floats, weights: Floats) -> Floats:
    powers = scaled ** b[..., None]
    return np.asarray(_products(powers, y * weights).clip(min=0.0) ** 2 / ((powers**2) @ weights))


def _products(curves: Floats, y: Floats) -> Floats:
    """Σ_n curves[·, b, n] y[·, n]; one set of curves for all rows is a plain matrix product."""
    return np.asarray(y @ curves[0].T if len(curves) == 1 else (curves @ y[:, :, None])[..., 0])


def _refined(b: Floats, explained: Floats) -> Floats:
    """The top of the parabola through the best exponent and its neighbours, for each row of (draws, exponents)."""
    best = np.argmax(explained, axis=1)
    inside = np.clip(best, 1, b.shape[1] - 2)
    rows = np.arange(len(best))
    left, middle, right = (explained[rows, inside + step] for step in (-1, 0, 1))
    bend = left - 2.0 * middle + right
    shift = np.where(bend < 0, 0.5 * (left - right) / np.where(bend < 0, bend, -1.0), 0.0)
    # At an end of the range the neighbours are the same exponent again.
    step = b[rows, np.minimum(best + 1, b.shape[1] - 1)] - b[rows, best]
    return np.asarray(b[rows, best] + np.where(best == inside, step * np.clip(shift, -1.0, 1.0), 0.0))


def _finished(x: Floats, y: Floats, weights: Floats, exponents: Floats, margins: Margins, floor: Floor) -> PowerFit:
    """The fit at the first of the exponents, the interval from the others."""
    exponent, middle = float(exponents[0]), _middle(x)
    powers = (x / middle) ** exponent
    weights = weights / weights.sum()
    mean_power, mean = float(powers @ weights), float(y @ weights)
    centred = powers - mean_power
    spread = float(centred**2 @ weights)
    slope = float((y - mean) * weights @ centred) / spread if spread > 0 else 0.0
    c0 = mean - slope * mean_power
    if floor == "not negative" and c0 < 0:
        c0, slope = 0.0, float(y * weights @ powers / (powers**2 @ weights))
    drawn = exponents[1:] if len(exponents) > 1 else exponents
    low, high = interval(drawn, margins.confidence)
    return PowerFit(exponent, float(low), float(high), c0, slope / middle**exponent)
