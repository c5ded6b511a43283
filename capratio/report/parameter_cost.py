"""What a parameter costs: the systems of a run over their parameters, each line one group of cases.

A group of a case file grows the parameters of one layer at nearly the same active FLOP; groups of the dense layer stand
beside them, one at equal FLOP, which is a point, and one that grows to equal parameters.
"""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from capratio.cost.spec import LAYERS
from capratio.report.quantities import NOTHING, measured, number, quantity
from capratio.report.side_by_side import Estimate, comparing, difference_over_processes, ratio_over_processes

if TYPE_CHECKING:
    from capratio.records.record import Exact, Point, Record

DENSE = "dense"
HEADINGS = (
    "system",
    "call",
    "parameters",
    "active FLOP a token",
    "parameters a FLOP",
    "a byte moved",
    "a microsecond",
    "routing, of operations",
    "latency over dense of equal product FLOP",
    "over dense of equal parameters",
    "latency over parameters: exponent",
)
WORDS = (
    "The largest point of each line. Parameters are all that the layer holds, over the FLOP, the bytes and the time of "
    "one token (of a batch: its share). Bytes are those that the operations read and wrote. Routing is gating FLOP and "
    "routing operations (compares, sorts, index arithmetic) in percent of all operations. The two dense layers are the "
    "run's own: the nearest in product FLOP, and, at the largest point that has one, the nearest in parameters, within "
    "a factor of 1.5. The exponent is the slope of the logarithms over the line: 0 is free parameters, 1 is a dense "
    "layer's price; it is fitted, not promised. Intervals are over processes."
)
# A dense layer stands for another one whose size differs by less than this factor.
NEAR = 1.5
# Over a narrower range of parameters a slope says nothing.
LEAST_RANGE = 2.0


@dataclass(frozen=True, slots=True)
class CostPoint:
    """One case of a line. latency_s: by replicate. product (FLOP), flop, operations, routing: of the whole call."""

    parameters: int
    tokens: int
    product: int
    flop: int
    operations: int
    routing: int
    op_bytes: int
    latency_s: Mapping[int, float]

    @property
    def median_s(self) -> float:
        """Over processes."""
        return statistics.median(self.latency_s.values())

    @property
    def routing_share(self) -> float:
        """Gating FLOP and routing operations in all operations, 0 to 1."""
        return self.routing / max(self.operations, 1)


@dataclass(frozen=True, slots=True)
class CostLine:
    """The points of one group in one kind of call, by rising parameters."""

    name: str
    layer: str
    call: str
    points: tuple[CostPoint, ...]

    @property
    def largest(self) -> CostPoint:
        """The point of most parameters."""
        return self.points[-1]

    @property
    def exponent(self) -> Estimate | None:
        """The slope of log latency over log parameters, over processes; None under three sizes, or a range under 2."""
        sizes = {point.parameters for point in self.points}
        if len(sizes) < 3 or max(sizes) < LEAST_RANGE * min(sizes):
            return None
        replicates = sorted(set.intersection(*(set(point.latency_s) for point in self.points)))
        slopes = [_slope([(point.parameters, point.latency_s[each]) for point in self.points]) for each in replicates]
        return difference_over_processes(slopes, f"{self.name} {self.call}") if slopes else None


def cost_lines(records: "Iterable[Record]") -> list[CostLine]:
    """The lines of a run that has a layer beside the trees and the dense one, calls together; none for other runs.

    Suites that hold layers against their peers have no part.
    """
    kept = list(records)
    compared = {record.suite for record in comparing(kept)}
    timed = [one for one in kept if one.measured and _costs(one.exact) and one.suite not in compared]
    if all(record.point.layer in LAYERS for record in timed):
        return []
    calls_of_dense: dict[str, set[str]] = {}
    for record in timed:
        calls_of_dense.setdefault(call_of(replace(record.point, routing="measured")), set()).add(call_of(record.point))
    grouped: dict[tuple[str, str, str], dict[str, list[Record]]] = {}
    for record in timed:
        own = call_of(record.point)
        # A dense layer has no routing, and stands beside every one.
        for call in sorted(calls_of_dense[own]) if record.point.layer == DENSE else (own,):
            grouped.setdefault((call, record.group, record.point.layer), {}).setdefault(record.case, []).append(record)
    layers_of: dict[str, set[str]] = {}
    for _, group, layer in grouped:
        layers_of.setdefault(group, set()).add(layer)
    lines = [
        CostLine(
            group if len(layers_of[group]) == 1 else f"{group}: {layer}",
            layer,
            call,
            tuple(sorted(map(_point, cases.values()), key=lambda point: point.parameters)),
        )
        for (call, group, layer), cases in grouped.items()
    ]
    calls = list(dict.fromkeys(line.call for line in lines))
    return sorted(lines, key=lambda line: (calls.index(line.call), line.layer != DENSE, line.name))


def _costs(exact: "Exact | None") -> bool:
    """Whether there is something to divide by: a call without tokens, or a layer without parameters, has no price."""
    return exact is not None and exact.parameters > 0 and sum(exact.flop.values()) > 0


def call_of(point: "Point") -> str:
    """A kind of call in words, what is usual left out: ``decode, cold`` or ``forward, 64 tokens, uniform routing``."""
    words = [point.pass_]
    if point.pass_ != "decode":
        words.append(f"{point.tokens} token{'' if point.tokens == 1 else 's'}")
    if point.cache != "warm":
        words.append(point.cache)
    if point.routing != "measured":
        words.append(f"{point.routing} routing")
    if point.dtype != "float32":
        words.append(point.dtype)
    return ", ".join(words)


def cost_rows(lines: Sequence[CostLine]) -> list[tuple[str, ...]]:
    """A row a line for the table under ``HEADINGS``."""
    return [_row(line, [other for other in lines if other.call == line.call]) for line in lines]


def _row(line: CostLine, beside: Sequence[CostLine]) -> tuple[str, ...]:
    point, dense = line.largest, [other for other in beside if other.layer == DENSE and other is not line]
    tokens = max(point.tokens, 1)
    per_token_s = point.median_s / tokens
    return (
        line.name,
        line.call,
        quantity(point.parameters),
        quantity(point.flop / tokens),
        number(point.parameters / max(point.flop / tokens, 1)),
        number(point.parameters / max(point.op_bytes / tokens, 1)),
        quantity(point.parameters / (per_token_s * 1e6)),
        f"{100 * point.routing_share:.2g} %",
        _over(point, _nearest(dense, "product", point), f"{line.name} {line.call} product"),
        _over_equal_parameters(line, dense),
        _exponent(line.exponent),
    )


def _over_equal_parameters(line: CostLine, dense: Sequence[CostLine]) -> str:
    """The ratio at the largest point of a line that has a dense layer of as many parameters, and how many these are."""
    for point in reversed(line.points):
        twin = _nearest(dense, "parameters", point)
        if twin is not None:
            return f"{_over(point, twin, f'{line.name} {line.call} parameters')} at {quantity(point.parameters)}"
    return NOTHING


def _nearest(dense: Sequence[CostLine], what: str, wanted: CostPoint) -> CostPoint | None:
    """The dense point whose product FLOP or parameters are nearest, if they are within a factor of ``NEAR``."""
    size = getattr(wanted, what)
    points = [point for line in dense for point in line.points if size and getattr(point, what)]
    distances = [(abs(math.log(getattr(point, what) / size)), place) for place, point in enumerate(points)]
    if not distances or min(distances)[0] > math.log(NEAR):
        return None
    return points[min(distances)[1]]


def _over(point: CostPoint, dense: CostPoint | None, name: str) -> str:
    if dense is None:
        return NOTHING
    common = sorted(point.latency_s.keys() & dense.latency_s.keys())
    ratios = [point.latency_s[each] / dense.latency_s[each] for each in common]
    if not ratios:
        return NOTHING
    ratio = ratio_over_processes(ratios, name)
    return measured(ratio.value, ratio.low, ratio.high)


def _exponent(estimate: Estimate | None) -> str:
    """To two decimals, as a slope near 0 has no significant digits."""
    if estimate is None:
        return NOTHING
    return f"{estimate.value:.2f} [{estimate.low:.2f}, {estimate.high:.2f}]"


def _point(records: "Sequence[Record]") -> CostPoint:
    first = records[0]
    exact: Exact | None = first.exact
    assert exact is not None
    flop = sum(exact.flop.values())
    return CostPoint(
        parameters=exact.parameters,
        tokens=first.point.tokens,
        product=exact.flop.get("product", 0),
        flop=flop,
        operations=flop + exact.routing_operations,
        routing=exact.flop.get("gating", 0) + exact.routing_operations,
        op_bytes=exact.op_bytes,
        latency_s={record.replicate: record.timing.latency_s for record in records if record.timing is not None},
    )


def _slope(points: Sequence[tuple[int, float]]) -> float:
    """The least-squares slope of log y over log x."""
    xs, ys = [math.log(x) for x, _ in points], [math.log(y) for _, y in points]
    slope, _ = statistics.linear_regression(xs, ys)
    return slope
