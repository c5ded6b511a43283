"""Overhead latency: what a path layer takes beyond the dense layer of the same sizes, fitted over one size."""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from capratio.records.record import Record
from capratio.scaling.advice import more_resolved, more_sizes
from capratio.scaling.breaks import Surroundings, bends, cache_capacities, named
from capratio.scaling.claims.claim import Claim, Evidence
from capratio.scaling.claims.exponent import LEAST_SIZES_SHOWN, Abscissa, equivalence, fit_sentence, interval_advice
from capratio.scaling.flat import is_flat
from capratio.scaling.groups import Key, grouped, names, regime, split_by_order
from capratio.scaling.lines import Line, Measured, latency_s, line_of, points_of
from capratio.scaling.margins import Margins
from capratio.scaling.power_law import PowerFit, fit_difference
from capratio.scaling.spread import standard_errors
from capratio.scaling.surroundings import surroundings_of
from capratio.scaling.verdict import Break, FitPoint, Kind, Status, Verdict
from capratio.units import counted

EXPECTED = 1.0


@dataclass(frozen=True, slots=True)
class _Group:
    name: str
    key: Key
    records: Sequence[Record]


class PairedLatency(Claim):
    """An exponent of overhead latency.

    swept: the field of a point that varies along a line. axis: what the line runs over.
    """

    kind: ClassVar[Kind] = "fitted"
    swept: ClassVar[str]
    axis: ClassVar[Abscissa]

    @abstractmethod
    def eligible(self, record: Record) -> bool:
        """Whether the law is judged on such a case; others that claim it are left out."""

    def abscissa(self, record: Record) -> float:
        """The size of one record; not positive where the law has no point."""
        return float(getattr(record.point, self.swept))

    def judge(self, evidence: Evidence) -> list[Verdict]:
        """One verdict a group of cases that differ in the swept size only."""
        served = [
            record
            for record in self.claimed(evidence)
            if record.point.layer != "dense" and record.point.form == "path" and self.eligible(record)
        ]
        groups = split_by_order(grouped(served, (self.swept, "order")))
        named_groups = zip(names(list(groups)), groups.items(), strict=True)
        return [self._verdict(evidence, _Group(name, key, records)) for name, (key, records) in named_groups]

    def _measured(self, evidence: Evidence, records: Sequence[Record]) -> Iterator[Measured]:
        for record in records:
            partner = evidence.partners.of(record)
            x, total = self.abscissa(record), latency_s(record)
            dense = None if partner is None else latency_s(partner)
            if x > 0 and total is not None and dense is not None:
                yield Measured(x, total - dense, max(total, dense), record)

    def _verdict(self, evidence: Evidence, group: _Group) -> Verdict:
        margins, rng = evidence.margins, self.generator(group.key, evidence.margins)
        line = line_of(self._measured(evidence, group.records), lambda record: getattr(record.point, self.swept))
        replicated = line.replicated(margins.minimum_processes)
        lost = [float(x) for x in line.x if x not in replicated.x]
        if len(replicated.x) >= margins.minimum_sizes:
            # A size whose processes failed does not take the others' verdict away.
            line = replicated
        points = points_of(line, margins, rng, difference=True)
        told = "; ".join(filter(None, (regime(group.key), self.axis.span([p.x for p in points]))))
        orders = sorted({r.point.order for r in group.records if r.point.order is not None})
        if orders and "order" not in dict(group.key):
            told += f"; order {' and '.join(orders)}"
        if lost and line is replicated:
            told += f"; {self.axis.symbol} = {', '.join(map(self.axis.shown, lost))} left out for want of processes"
        flat = line.processes > 1 and is_flat(line.values, margins, rng)
        # What does not grow has no exponent: its interval would be the whole range of the search.
        fit = None if flat else _fit(line, margins, rng)
        status, sentence, advice = self._decided(line, points, fit, flat, margins)
        breaks = _breaks(line, evidence) if fit is not None else ()
        if breaks:
            places = ", ".join(f"{self.axis.symbol} = {self.axis.shown(b.at)} ({b.name})" for b in breaks)
            sentence += f" The line bends at {places}."
        return self.verdict(
            group.name,
            status,
            told,
            sentence,
            quantity=f"exponent of overhead latency over {self.axis.symbol}",
            expected=EXPECTED,
            estimate=None if fit is None else fit.exponent,
            low=None if fit is None else fit.low,
            high=None if fit is None else fit.high,
            margin=margins.latency_exponent,
            points=points,
            breaks=breaks,
            advice=advice,
        )

    def _decided(
        self,
        line: Line,
        points: Sequence[FitPoint],
        fit: PowerFit | None,
        flat: bool,
        margins: Margins,
    ) -> tuple[Status, str, str]:
        """(status, sentence, advice): too little to tell, flat, or the exponent against its margin."""
        symbol, integers = self.axis.symbol, self.axis.integers
        if not points:
            advice = "Needs the dense layer of the same p, q, N, pass and cache state, in the same replicates."
            return "undecided", "No size has a dense layer beside it.", advice
        shown = "" if fit is None else fit_sentence("Overhead latency", self.axis, fit, points, margins)
        sizes, largest = len(points), points[-1].x
        if sizes < margins.minimum_sizes:
            advice = more_sizes(symbol, sizes, margins.minimum_sizes, largest, integers=integers)
            return "undecided", shown or f"Growth cannot be told from {counted(sizes, 'size')} of {symbol}.", advice
        if line.processes < margins.minimum_processes:
            advice = f"Needs {margins.minimum_processes} processes a case; {line.processes} were measured."
            return "undecided", shown or "Without replicates there is no interval.", advice
        resolved = sum(point.resolved for point in points)
        if resolved < margins.minimum_resolved_sizes:
            advice = more_resolved(symbol, resolved, margins.minimum_resolved_sizes, largest, integers=integers)
            return "undecided", shown, advice
        if flat:
            sentence = (
                f"Overhead latency does not grow: it stays within {margins.flat_ratio:.0%} of its mean over "
                f"{self.axis.span([p.x for p in points])}, so that a fixed cost hides the law or there is none."
            )
            return "broken", sentence, ""
        if fit is None:
            return "undecided", f"All cases have the same {symbol}.", f"Needs a range of {symbol}."
        status = equivalence(fit, EXPECTED, margins.latency_exponent)
        advice = ""
        if status == "undecided":
            advice = interval_advice(fit, EXPECTED, margins.latency_exponent, line.processes)
        return status, shown, advice


def _fit(line: Line, margins: Margins, rng: np.random.Generator) -> PowerFit | None:
    enough = len(line.x) >= LEAST_SIZES_SHOWN and line.x[-1] > line.x[0] and line.processes >= 2
    return fit_difference(line.x, line.values, line.levels, margins, rng) if enough else None


def _breaks(line: Line, evidence: Evidence) -> tuple[Break, ...]:
    around: list[Surroundings] = [surroundings_of(example) for example in line.examples]
    errors = standard_errors(line.values, line.levels)
    middles = np.array([float(np.median(each)) for each in line.values])
    # A law of exponent 1 with a floor is a straight line, so that a bend of the line is where the law is left.
    found = bends(line.x, middles, errors, evidence.margins)
    capacities = cache_capacities(evidence.machine, line.examples[0].point.device)
    return named(found, line.x, around, capacities, evidence.margins)
