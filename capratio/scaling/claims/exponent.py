"""A fitted exponent against its law: the rules by which it holds, is broken or is undecided, and their words."""

from collections.abc import Sequence
from dataclasses import dataclass

from capratio.scaling.advice import more_processes
from capratio.scaling.local_slopes import local_slopes
from capratio.scaling.margins import Margins
from capratio.scaling.power_law import PowerFit
from capratio.scaling.verdict import FitPoint, Status
from capratio.units import scaled, whole

# c0, a and b have to leave a degree of freedom, or what is shown as a fit is none.
LEAST_SIZES_SHOWN = 4


@dataclass(frozen=True, slots=True)
class Abscissa:
    """What a law runs over: its symbol, its unit, and whether sizes are meant to be every integer of a range."""

    symbol: str
    unit: str = ""
    integers: bool = False

    def shown(self, value: float) -> str:
        """One size in words."""
        if self.unit:
            return scaled(value, self.unit)
        return whole(int(value)) if float(value).is_integer() else f"{value:g}"

    def span(self, values: Sequence[float]) -> str:
        """A range of sizes in words; empty without any."""
        if len(values) == 0:
            return ""
        low, high = self.shown(min(values)), self.shown(max(values))
        return f"{self.symbol} = {low}" + (f" to {high}" if high != low else "")


def equivalence(fit: PowerFit, expected: float, margin: float) -> Status:
    """Holds with the whole interval inside expected ± margin, broken with it outside, undecided across an edge."""
    if expected - margin <= fit.low and fit.high <= expected + margin:
        return "holds"
    if fit.high < expected - margin or fit.low > expected + margin:
        return "broken"
    return "undecided"


def fit_sentence(what: str, axis: Abscissa, fit: PowerFit, points: Sequence[FitPoint], margins: Margins) -> str:
    """The fit in words: exponent, interval, floor, slopes from point to point, sizes below resolution."""
    edge = ""
    if fit.exponent >= margins.largest_exponent - 0.01:
        edge = " or more"
    elif fit.exponent <= margins.smallest_exponent + 0.01:
        edge = " or less"
    told = (
        f"{what} over {axis.symbol} has the exponent {fit.exponent:.2f}{edge} [{fit.low:.2f}, {fit.high:.2f}] over "
        f"{axis.span([p.x for p in points])}"
    )
    slopes = [each.slope for each in local_slopes(points)]
    if slopes:
        told += f"; from point to point the slope is {min(slopes):.2f} to {max(slopes):.2f}"
    below = [axis.shown(p.x) for p in points if not p.resolved]
    if below:
        told += f"; {axis.symbol} = {', '.join(below)} {'is' if len(below) == 1 else 'are'} below resolution"
    return told + "."


def interval_advice(fit: PowerFit, expected: float, margin: float, processes: int) -> str:
    """What would draw an interval that crosses the margin to one side."""
    return more_processes(fit.exponent, fit.low, fit.high, expected, margin, processes)
