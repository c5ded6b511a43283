"""Hold a run's records against the laws that its cases claim."""

from collections.abc import Iterable, Mapping
from typing import Any

from capratio.cost.spec import MAX_DEPTH
from capratio.errors import InputError
from capratio.records.record import Record
from capratio.scaling.claims import CLAIMS
from capratio.scaling.claims.claim import Evidence
from capratio.scaling.margins import Margins, default_margins
from capratio.scaling.pairing import dense_partners
from capratio.scaling.verdict import Verdict


def judge(
    records: Iterable[Record], machine: Mapping[str, Any] | None = None, margins: Margins | None = None
) -> list[Verdict]:
    """One verdict for each claim and group of cases, in the order of the table of claims.

    A claim that cases name and no measured case can serve is undecided, and so is a claim that the table does not know.

    Args: records: of one run, measured or not. machine: what its ``machine.json`` holds; without it no break of a warm
    line can be laid to a cache. margins: the package's own when None.

    Raises InputError for a record whose sizes no layer can have.
    """
    every = tuple(records)
    measured = tuple(record for record in every if record.measured)
    for record in measured:
        _check(record)
    evidence = Evidence(measured, dense_partners(measured), machine or {}, margins or default_margins())
    claimed = {claim for record in every for claim in record.claims}
    verdicts = []
    for name, kind in CLAIMS.items():
        if name in claimed:
            claim = kind()
            verdicts += claim.judge(evidence) or [
                claim.verdict(
                    "no case",
                    "undecided",
                    "nothing measured",
                    "No measured case serves this claim.",
                    advice="Needs cases that its text describes; see why the run's own gave nothing.",
                )
            ]
    return verdicts + [_unknown(name) for name in sorted(claimed - CLAIMS.keys())]


def _check(record: Record) -> None:
    """Refuse sizes at which the arithmetic of a law has no meaning or no end (2^k of a depth without bounds)."""
    point = record.point
    if not (0 <= point.depth <= MAX_DEPTH and min(point.in_features, point.out_features) >= 1 and point.tokens >= 0):
        raise InputError(
            f"the record of {record.case!r} has depth {point.depth}, in_features {point.in_features}, out_features "
            f"{point.out_features} and tokens {point.tokens}; no layer has these, the run was not written by a sweep."
        )


def _unknown(name: str) -> Verdict:
    return Verdict(
        claim=name,
        group="no case",
        title=f"Unknown claim {name}",
        text="Cases name a claim that this version does not know.",
        kind="fitted",
        status="undecided",
        quantity="",
        expected=None,
        estimate=None,
        low=None,
        high=None,
        margin=None,
        regime="",
        points=(),
        breaks=(),
        advice=f"Needs a claim of the table: {', '.join(CLAIMS)}.",
        sentence="Nobody can judge it.",
    )
