"""Claim: warm latency over depth bends only where the table leaves a cache."""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from capratio.records.record import Record
from capratio.scaling.advice import more_sizes
from capratio.scaling.breaks import bends, cache_capacities, named
from capratio.scaling.claims.claim import Claim, Evidence
from capratio.scaling.groups import Key, grouped, names, regime, split_by_order
from capratio.scaling.lines import Measured, latency_s, line_of, points_of
from capratio.scaling.spread import standard_errors
from capratio.scaling.surroundings import surroundings_of
from capratio.scaling.verdict import Break, Kind, Status, Verdict
from capratio.units import counted, size

# With fewer depths a piecewise line has more pieces than points.
_LEAST_DEPTHS = 6


class WarmLatencyOverDepth(Claim):
    """Warm latency of a token is a straight line over k that bends only where the layer's table leaves a cache.

    The footprint is the nodes that all samples together visit. The exponent is not judged here: caches bend a right
    layer's warm slope to 1.5. Breaks are found in the line, and each is named by the cache whose capacity lies within a
    factor of 4 of the footprint there, since a cache is shared with code and other data; the claim holds when all are
    explained so, and is undecided otherwise. Depth 0 is left out: it is the dense product without bits, and the step
    from it to k = 1 is the fixed cost of choosing a path.
    """

    id = "warm-latency-over-depth"
    title = "Warm latency bends only where the table leaves a cache"
    kind: ClassVar[Kind] = "fitted"

    def judge(self, evidence: Evidence) -> list[Verdict]:
        """One verdict a group of warm single-token cases that differ in depth only."""
        served = [
            record
            for record in self.claimed(evidence)
            if record.point.depth > 0
            and record.point.tokens == 1
            and record.point.cache == "warm"
            and record.point.pass_ in ("decode", "forward")
        ]
        groups = split_by_order(grouped(served, ("depth", "order")))
        told = zip(names(list(groups)), groups.items(), strict=True)
        return [self._verdict(evidence, name, key, records) for name, (key, records) in told]

    def _verdict(self, evidence: Evidence, group: str, key: Key, records: Sequence[Record]) -> Verdict:
        margins, rng = evidence.margins, self.generator(key, evidence.margins)
        timed = ((record, latency_s(record)) for record in records)
        measured = [Measured(float(r.point.depth), t, t, r) for r, t in timed if t is not None]
        line = line_of(measured, lambda record: record.point.depth)
        points = points_of(line, margins, rng, difference=False)
        depths = [int(x) for x in line.x]
        where = "; ".join((regime(key), f"k = {depths[0]} to {depths[-1]}" if depths else "no depth"))
        if len(depths) < _LEAST_DEPTHS:
            advice = more_sizes("k", len(depths), _LEAST_DEPTHS, depths[-1] if depths else 0, integers=True)
            sentence = f"Breaks cannot be told from {counted(len(depths), 'depth')}."
            return self.verdict(group, "undecided", where, sentence, quantity="breaks", points=points, advice=advice)
        around = [surroundings_of(example, whole_table=True) for example in line.examples]
        capacities = cache_capacities(evidence.machine, line.examples[0].point.device)
        errors = standard_errors(line.values, line.levels)
        found = bends(line.x, np.array([point.y for point in points]), errors, margins)
        breaks = named(found, line.x, around, capacities, margins)
        status, sentence, advice = _decided(breaks, capacities)
        return self.verdict(
            group,
            status,
            where,
            sentence,
            quantity="breaks",
            estimate=float(len(breaks)),
            points=points,
            breaks=breaks,
            advice=advice,
        )


def _cache(name: str, capacities: dict[str, int]) -> str:
    """A break's name, a cache with its size, so that a reader sees how far the footprint is from it."""
    return f"{name} of {size(capacities[name])}" if name in capacities else name


def _decided(breaks: Sequence[Break], capacities: dict[str, int]) -> tuple[Status, str, str]:
    if not breaks:
        return "holds", "The line has no break.", ""
    places = ", ".join(
        f"k = {b.at:.0f} ({_cache(b.name, capacities)}"
        + (f", visited nodes of {size(b.footprint_bytes)})" if b.footprint_bytes else ")")
        for b in breaks
    )
    sentence = f"The line bends at {places}."
    strangers = [b for b in breaks if not b.explained]
    if not strangers:
        return "holds", sentence, ""
    if not capacities:
        return "undecided", sentence, "Needs the machine's cache sizes, which machine.json does not name."
    caches = ", ".join(f"{level} {size(capacity)}" for level, capacity in capacities.items())
    places = " and ".join(f"k = {b.at:.0f}" for b in strangers)
    advice = (
        f"No cache ({caches}) explains {places}: look there with a profile of cache and address-translation misses."
    )
    return "undecided", sentence, advice
