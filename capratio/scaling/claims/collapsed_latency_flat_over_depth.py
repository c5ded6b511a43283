"""Claim: the collapsed form costs the same at every depth."""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from capratio.records.record import Record
from capratio.scaling.advice import more_processes, more_sizes
from capratio.scaling.claims.claim import Claim, Evidence
from capratio.scaling.claims.single_token import is_cold_single_token
from capratio.scaling.flat import Ratios, ratios
from capratio.scaling.groups import Key, grouped, names, regime
from capratio.scaling.lines import latency_s
from capratio.scaling.margins import Margins
from capratio.scaling.verdict import FitPoint, Kind, Status, Verdict
from capratio.units import seconds

# More depths than these are told by their range.
_MOST_PLACES = 4

Times = dict[int, dict[int, float]]


class CollapsedLatencyFlatOverDepth(Claim):
    """Collapsed latency is the dense layer's at every depth, since a token reads one leaf: t(k)/t(0) = 1 ± 0.15.

    t(0) is the layer's own depth 0 where it was measured, else the dense layer of the same sizes. Single tokens on cold
    caches are judged. The law holds when the interval of every depth lies inside the margin, and is broken when that of
    any depth lies outside.
    """

    id = "collapsed-latency-flat-over-depth"
    title = "Collapsed latency does not grow with k"
    kind: ClassVar[Kind] = "fitted"

    def judge(self, evidence: Evidence) -> list[Verdict]:
        """One verdict a group of collapsed cases that differ in depth only."""
        served = [
            record
            for record in self.claimed(evidence)
            if record.point.form == "collapsed" and is_cold_single_token(record)
        ]
        groups = grouped(served, ("depth", "order"))
        named = zip(names(list(groups)), groups.items(), strict=True)
        return [self._verdict(evidence, name, key, records) for name, (key, records) in named]

    def _verdict(self, evidence: Evidence, group: str, key: Key, records: Sequence[Record]) -> Verdict:
        margins, margin = evidence.margins, evidence.margins.flat_ratio
        times = _times(records)
        own = times.pop(0, None)
        zero = own if own is not None else _dense_times(evidence, records)
        pairs = {k: pair for k, by in sorted(times.items()) if len((pair := _paired(by, zero))[0]) > 0}
        told = "; ".join(filter(None, (regime(key), f"k = {min(pairs)} to {max(pairs)}" if pairs else "")))
        if not pairs:
            return self.verdict(
                group,
                "undecided",
                told,
                "No depth has a t(0) beside it.",
                quantity="t(k)/t(0)",
                expected=1.0,
                margin=margin,
                advice="Needs depth 0, or the dense layer of the same sizes, pass and cache, in the same replicates.",
            )
        depths = list(pairs)
        rng = self.generator(key, margins)
        found = ratios(list(pairs.values()), margins, rng)
        points = tuple(
            FitPoint(float(k), float(y), float(low), float(high), len(pairs[k][0]), True, tuple(_each(pairs[k])))
            for k, y, low, high in zip(depths, found.estimates, found.lows, found.highs, strict=True)
        )
        status, sentence, advice = _decided(depths, points, found, margins)
        if status == "broken":
            sentence += _from_the_first(times, pairs, found, margins, rng)
        worst = _farthest(points)
        against = "its own depth 0" if own is not None else "the dense layer"
        return self.verdict(
            group,
            status,
            f"{told}; t(0) is {against}",
            sentence,
            quantity=f"t(k)/t(0) at k = {worst.x:.0f}, whose interval reaches farthest",
            expected=1.0,
            estimate=worst.y,
            low=worst.low,
            high=worst.high,
            margin=margin,
            points=points,
            advice=advice,
        )


def _times(records: Sequence[Record]) -> Times:
    """Latency by depth and replicate."""
    times: Times = {}
    for record in records:
        latency = latency_s(record)
        if latency is not None:
            times.setdefault(record.point.depth, {})[record.replicate] = latency
    return times


def _dense_times(evidence: Evidence, records: Sequence[Record]) -> dict[int, float]:
    found = {}
    for record in records:
        partner = evidence.partners.of(record)
        latency = None if partner is None else latency_s(partner)
        if latency is not None:
            found[record.replicate] = latency
    return found


def _paired(values: dict[int, float], reference: dict[int, float]) -> tuple[np.ndarray, np.ndarray]:
    shared = sorted(values.keys() & reference.keys())
    return np.array([values[r] for r in shared]), np.array([reference[r] for r in shared])


def _each(pair: tuple[np.ndarray, np.ndarray]) -> list[float]:
    return [float(ratio) for ratio in pair[0] / pair[1]]


def _decided(
    depths: Sequence[int], points: Sequence[FitPoint], found: Ratios, margins: Margins
) -> tuple[Status, str, str]:
    margin, sizes = margins.flat_ratio, len(depths)
    farthest = _farthest(points)
    shown = (
        f"t(k)/t(0) is {min(p.y for p in points):.2f} to {max(p.y for p in points):.2f} over k = {depths[0]} to "
        f"{depths[-1]}; its interval reaches farthest at k = {farthest.x:.0f}: {farthest.y:.2f} "
        f"[{farthest.low:.2f}, {farthest.high:.2f}]."
    )
    if sizes < margins.minimum_sizes:
        return "undecided", shown, more_sizes("k", sizes, margins.minimum_sizes, depths[-1], integers=True)
    processes = min(p.processes for p in points)
    if processes < margins.minimum_processes:
        advice = f"Needs {margins.minimum_processes} processes a case; {processes} were measured."
        return "undecided", shown, advice
    if found.inside(margin):
        return "holds", shown, ""
    outside = [p for p, out in zip(points, found.outside(margin), strict=True) if out]
    if outside:
        return "broken", f"Latency lies outside t(0) ± {margin:.0%} at {_places(outside)}.", ""
    advice = more_processes(farthest.y, farthest.low, farthest.high, 1.0, margin, processes)
    return "undecided", shown, f"{advice} That is for k = {farthest.x:.0f}, whose interval reaches farthest."


def _farthest(points: Sequence[FitPoint]) -> FitPoint:
    """The point whose interval reaches farthest from 1."""
    return max(points, key=lambda point: max(point.high - 1.0, 1.0 - point.low))


def _places(outside: Sequence[FitPoint]) -> str:
    if len(outside) <= _MOST_PLACES:
        return ", ".join(f"k = {p.x:.0f} by {p.y - 1:+.0%}" for p in outside)
    least, most = (end(p.y for p in outside) - 1 for end in (min, max))
    return f"{len(outside)} depths from k = {outside[0].x:.0f} to {outside[-1].x:.0f}, by {least:+.0%} to {most:+.0%}"


def _from_the_first(
    times: Times,
    pairs: dict[int, tuple[np.ndarray, np.ndarray]],
    found: Ratios,
    margins: Margins,
    rng: np.random.Generator,
) -> str:
    """What a broken flat law looks like without t(0): a fixed cost beside a line that is flat, or growth."""
    first = min(pairs)
    later = [_paired(times[k], times[first]) for k in pairs if k != first]
    if not later or any(len(value) == 0 for value, _ in later):
        return ""
    among = ratios(later, margins, rng)
    value, reference = pairs[first]
    if among.inside(margins.flat_ratio):
        cost = seconds(float(np.median(value - reference)))
        within = f"{margins.flat_ratio:.0%}"
        return f" From k = {first} on it is flat within {within}: a fixed cost of {cost} parts it from t(0)."
    return (
        f" From k = {first} on it is {among.estimates.min():.2f} to {among.estimates.max():.2f} times its value there."
    )
