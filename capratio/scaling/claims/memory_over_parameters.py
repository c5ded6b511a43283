"""Claim: memory grows like parameters."""

from collections.abc import Sequence
from typing import ClassVar

from capratio.records.record import Record
from capratio.scaling.advice import more_sizes
from capratio.scaling.claims.claim import Claim, Evidence
from capratio.scaling.claims.exponent import LEAST_SIZES_SHOWN, Abscissa, equivalence, fit_sentence, interval_advice
from capratio.scaling.groups import Key, grouped, names, regime
from capratio.scaling.lines import Measured, line_of, points_of
from capratio.scaling.power_law import fit_total
from capratio.scaling.verdict import Kind, Status, Verdict
from capratio.units import counted

EXPECTED = 1.0
_AXIS = Abscissa("parameters")
_PASSES = ("decode", "forward")


class MemoryOverParameters(Claim):
    """State and the peak of one call together grow like parameters: c0 + a·x^b with b = 1 ± 0.05.

    Depth is swept. Memory is what the layer holds (state_bytes) plus what a call allocates at most beyond that
    (allocated_peak_bytes, where the device tells it), for the smallest batch of a case group, since activations belong
    to tokens. Both are counted, so that intervals are as good as points.
    """

    id = "memory-over-parameters"
    title = "Memory grows like parameters"
    kind: ClassVar[Kind] = "fitted"

    def judge(self, evidence: Evidence) -> list[Verdict]:
        """One verdict a group of layers that differ in depth only."""
        served = [
            record
            for record in self.claimed(evidence)
            if record.point.layer != "dense"
            and record.point.pass_ in _PASSES
            and record.memory is not None
            and record.memory.state_bytes > 0
            and record.exact is not None
            and record.exact.parameters > 0
        ]
        groups = grouped(served, ("depth", "order", "tokens", "pass_", "cache"))
        told = zip(names(list(groups)), groups.items(), strict=True)
        return [self._verdict(evidence, name, key, records) for name, (key, records) in told]

    def _verdict(self, evidence: Evidence, group: str, key: Key, records: Sequence[Record]) -> Verdict:
        margins, rng = evidence.margins, self.generator(key, evidence.margins)
        margin, tokens = margins.memory_exponent, min(record.point.tokens for record in records)
        kept = [record for record in records if record.point.tokens == tokens]
        line = line_of(map(_measured, kept), lambda record: record.point.depth)
        points = points_of(line, margins, rng, difference=False)
        where = "; ".join(filter(None, (f"N = {tokens}", regime(key), _AXIS.span([p.x for p in points]))))
        if any(record.memory is not None and record.memory.allocated_peak_bytes is None for record in kept):
            where += "; state alone where the peak is not known"
        fit = None
        if len(points) >= LEAST_SIZES_SHOWN and line.x[-1] > line.x[0]:
            fit = fit_total(line.x, line.values, margins, rng)
        status: Status = "undecided"
        sentence, advice = f"Growth cannot be told from {counted(len(points), 'size')}.", ""
        if fit is not None:
            sentence = fit_sentence("Memory", _AXIS, fit, points, margins)
        if len(points) < margins.minimum_sizes or fit is None:
            deepest = max(record.point.depth for record in kept)
            advice = more_sizes("k", len(points), margins.minimum_sizes, deepest, integers=True)
        else:
            status = equivalence(fit, EXPECTED, margin)
            if status == "undecided":
                advice = interval_advice(fit, EXPECTED, margin, line.processes)
        return self.verdict(
            group,
            status,
            where,
            sentence,
            quantity="exponent of memory over parameters",
            expected=EXPECTED,
            estimate=None if fit is None else fit.exponent,
            low=None if fit is None else fit.low,
            high=None if fit is None else fit.high,
            margin=margin,
            points=points,
            advice=advice,
        )


def _measured(record: Record) -> Measured:
    if record.memory is None or record.exact is None:
        raise AssertionError("only records with memory and counts are kept")
    held = record.memory.state_bytes + (record.memory.allocated_peak_bytes or 0)
    return Measured(float(record.exact.parameters), float(held), float(held), record)
