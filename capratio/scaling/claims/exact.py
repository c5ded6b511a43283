"""Exact laws: integers of records against plain arithmetic, record by record."""

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

from capratio.cost.layer_names import LAYER_IDS
from capratio.cost.spec import LAYERS
from capratio.records.record import Exact, Point, Record
from capratio.scaling.claims.claim import Claim, Evidence
from capratio.scaling.groups import grouped, names
from capratio.scaling.verdict import FitPoint, Kind, Verdict
from capratio.units import counted, whole

Number = int | Fraction


@dataclass(frozen=True, slots=True)
class Check:
    """One comparison at one record: what is compared, what the record holds, what the law promises."""

    what: str
    counted: Number
    promised: Number

    @property
    def agrees(self) -> bool:
        """Whether both are equal, to the integer."""
        return self.counted == self.promised


@dataclass(frozen=True, slots=True)
class _Checked:
    record: Record
    check: Check


class ExactClaim(Claim):
    """An exact law; groups are the layers and their forms, and every record of a group is compared.

    layers: the known layers that the law is about; others that claim it are left out. A user's layer has no law here.
    """

    kind: ClassVar[Kind] = "exact"
    # The laws are those of tree-gated weights and of the dense layer beside them.
    layers: ClassVar[tuple[str, ...]] = tuple(layer for layer in LAYERS if layer != "fast-feedforward")
    # Fields that part groups: an exact law holds at all sizes, in every call.
    parted_by: ClassVar[tuple[str, ...]] = ("layer", "form")

    @abstractmethod
    def checks(self, point: Point, exact: Exact) -> Iterable[Check]:
        """The comparisons that one record allows; the first is the law's own quantity."""

    def judge(self, evidence: Evidence) -> list[Verdict]:
        """One verdict a layer and form."""
        served = [
            record
            for record in self.claimed(evidence)
            if record.point.layer in self.layers or record.point.layer not in LAYER_IDS
        ]
        without = [name for name in Point.__dataclass_fields__ if name not in self.parted_by]
        groups = grouped(served, without)
        return [
            self._verdict(group, records) for group, records in zip(names(list(groups)), groups.values(), strict=True)
        ]

    def _verdict(self, group: str, records: Sequence[Record]) -> Verdict:
        known = [record for record in records if record.point.layer in self.layers and record.exact is not None]
        compared = [
            _Checked(record, check)
            for record in known
            if record.exact is not None
            for check in self.checks(record.point, record.exact)
        ]
        if not compared:
            sentence = "No record can be compared."
            return self.verdict(group, "undecided", _range(records), sentence, advice=_missing(records))
        wrong = [each for each in compared if not each.check.agrees]
        # The point shown: the first that is off, or the largest that agrees.
        shown = wrong[0] if wrong else max(_main(compared), key=lambda each: each.check.promised)
        cases = len({each.record.case for each in compared})
        if wrong:
            off = len({each.record.case for each in wrong})
            sentence = (
                f"At {shown.record.case}, replicate {shown.record.replicate}, {shown.check.what} is "
                f"{_shown(shown.check.counted)} and the law promises {_shown(shown.check.promised)}; "
                f"{off} of {counted(cases, 'case')} {'is' if off == 1 else 'are'} off."
            )
        else:
            agreeing = len({(each.record.case, each.record.replicate) for each in compared})
            sentence = f"Equal to the integer: {counted(agreeing, 'record')} of {counted(cases, 'case')}."
        return self.verdict(
            group,
            "broken" if wrong else "holds",
            _range([each.record for each in compared]),
            sentence,
            quantity=f"{shown.check.what} at {_sizes(shown.record.point)}",
            expected=_plain(shown.check.promised),
            estimate=_plain(shown.check.counted),
            points=_points(_main(compared)),
        )


def _main(compared: Sequence[_Checked]) -> list[_Checked]:
    """The comparisons of the law's own quantity; where it is 0 at every record, of the first that is not."""
    quantities = list(dict.fromkeys(each.check.what for each in compared))
    telling = {each.check.what for each in compared if each.check.promised}
    what = next((each for each in quantities if each in telling), quantities[0])
    return [each for each in compared if each.check.what == what]


def _points(compared: Sequence[_Checked]) -> tuple[FitPoint, ...]:
    """Counted values over depth, each distinct one once."""
    distinct = sorted({(each.record.point.depth, each.check.counted) for each in compared})
    return tuple(FitPoint(float(depth), float(value), float(value), float(value)) for depth, value in distinct)


def _range(records: Sequence[Record]) -> str:
    points = [record.point for record in records]
    spans = (
        ("k", sorted({p.depth for p in points})),
        ("p", sorted({p.in_features for p in points})),
        ("q", sorted({p.out_features for p in points})),
        ("N", sorted({p.tokens for p in points})),
    )
    told = [f"{name} = {span[0]}" + (f" to {span[-1]}" if len(span) > 1 else "") for name, span in spans if span]
    return ", ".join([*told, "every pass and cache state measured"])


def _sizes(point: Point) -> str:
    return f"k = {point.depth}, p = {point.in_features}, q = {point.out_features}, N = {point.tokens}, {point.pass_}"


def _missing(records: Sequence[Record]) -> str:
    foreign = sorted({record.point.layer for record in records if record.point.layer not in LAYER_IDS})
    if foreign:
        return f"{foreign[0]} has no closed form here; only its measured quantities are reported."
    unknown = sorted({name for r in records if r.exact is not None for name in r.exact.unknown_operations})
    if unknown:
        return f"Needs FLOP formulas for {', '.join(unknown)}."
    return "Needs cases that count what this law is about."


def _plain(value: Number) -> float:
    return value if isinstance(value, int) else float(value)


def _shown(value: Number) -> str:
    return whole(value) if isinstance(value, int) else f"{float(value):.12g}"
