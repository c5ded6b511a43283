"""Lines of records along one size, for the claims that fit or compare along it."""

from collections.abc import Callable
from typing import Any

from capratio.records.record import Point, Record
from capratio.scaling.verdict import Verdict

IN, OUT = "path-latency-over-in-features", "path-latency-over-out-features"
WIDTHS = (128, 192, 257, 384, 512, 769, 1024, 1536)
# Seconds that memory takes for the 4 bytes of a weight.
WEIGHT_S = 4e-10
CALL_S = 4e-5

Law = Callable[[Point], float]


def only(verdicts: list[Verdict]) -> Verdict:
    assert 1 == len(verdicts), [verdict.group for verdict in verdicts]
    return verdicts[0]


def dense(point: Point) -> float:
    return 2e-5 + WEIGHT_S * point.in_features * point.out_features


def forming(point: Point) -> float:
    """The right law: each node's weights cross the memory interface once."""
    return CALL_S + WEIGHT_S * point.depth * point.in_features * point.out_features


def swept_line(laboratory: Any, claim: str, law: Law, **given: Any) -> list[Record]:
    """A line of the claim's own size through a centre."""
    centre: dict[str, Any] = {"in_features": 512, "out_features": 512, "depth": 8}
    swept = {IN: "in_features", OUT: "out_features"}.get(claim, "depth")
    if swept != "depth":
        given = {"sizes": WIDTHS} | given
    made: list[Record] = laboratory.line(claim, law, swept=swept, dense_s=dense, **(centre | given))
    return made
