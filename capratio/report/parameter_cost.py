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
from capratio.cost.systems.contract import defaults, option_text
from capratio.cost.systems.table import SYSTEMS
from capratio.records.summary import summarise
from capratio.report.routing_operations import routing_of
from capratio.report.side_by_side import Estimate, comparing, difference_over_processes
from capratio.units import counted

if TYPE_CHECKING:
    from capratio.records.record import Exact, Point, Record

DENSE = "dense"
# Over a narrower range of parameters a slope says nothing.
LEAST_RANGE = 2.0
# What a call reached: the name in a record, and its word; a layer's other names follow from these.
_REACHED = {
    "experts": "experts",
    "dropped": "dropped choices",
    "entries": "entries",
    "rows": "rows",
    "distinct_blocks": "blocks",
    "live_units": "live units",
    "steps": "steps",
}


@dataclass(frozen=True, slots=True)
class Reached:
    """How many places of a kind (``experts``, ``leaves``) a call reached, and how many under uniform routing."""

    kind: str
    count: int
    uniform: float | None


@dataclass(frozen=True, slots=True)
class CostPoint:
    """One case of a line. latency_s: by replicate. product (FLOP), flop, operations, routing: of the whole call.

    What was counted is of the process whose FLOP are the median. op_bytes: what the operations read and wrote.
    compulsory_bytes: what must cross the memory interface once. state_bytes: what the layer holds. peak_bytes: the
    allocator's peak in the call, over its start. times_limit: latency over the roofline time. None: not known.
    """

    parameters: int
    tokens: int
    product: int
    flop: int
    operations: int
    routing: int
    op_bytes: int
    latency_s: Mapping[int, float]
    compulsory_bytes: int | None
    state_bytes: int | None
    peak_bytes: int | None
    capacity_ratio: float | None
    capacity_ratio_all: float | None
    times_limit: float | None
    reached: tuple[Reached, ...]

    @property
    def median_s(self) -> float:
        """Over processes."""
        return statistics.median(self.latency_s.values())

    @property
    def routing_share(self) -> float:
        """What decides where tokens go in all operations, 0 to 1."""
        return self.routing / max(self.operations, 1)


@dataclass(frozen=True, slots=True)
class CostLine:
    """The points of one group in one kind of call, by rising parameters.

    Options that differ where parameters are equal, and so are not what grows, give a line each, named by them.
    """

    name: str
    layer: str
    call: str
    points: tuple[CostPoint, ...]

    @property
    def largest(self) -> CostPoint:
        """The point of most parameters."""
        return self.points[-1]

    @property
    def is_level(self) -> bool:
        """Whether this is a dense layer that does not grow: the level of equal FLOP, that others are held against."""
        return self.layer == DENSE and len(self.points) == 1

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
    timed = [one for one in kept if _costs(one) and one.suite not in compared]
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
            (group if len(layers_of[group]) == 1 else f"{group}: {layer}") + words,
            layer,
            call,
            tuple(sorted(points, key=lambda point: point.parameters)),
        )
        for (call, group, layer), cases in grouped.items()
        for words, points in _apart(cases.values()).items()
    ]
    calls = list(dict.fromkeys(line.call for line in lines))
    return sorted(lines, key=lambda line: (calls.index(line.call), line.layer != DENSE, line.name))


def _apart(cases: "Iterable[Sequence[Record]]") -> dict[str, list[CostPoint]]:
    """The points of each line of some cases, by the words that set it apart from the others: ``""`` of one line."""
    of_size: dict[int, list[tuple[dict[str, str], CostPoint]]] = {}
    for records in cases:
        point = _point(records)
        of_size.setdefault(point.parameters, []).append((_options(records[0].point), point))
    differing = set()
    for beside in of_size.values():
        names = {name for options, _ in beside for name in options}
        differing |= {name for name in names if len({options.get(name) for options, _ in beside}) > 1}
    lines: dict[str, list[CostPoint]] = {}
    for options, point in (one for beside in of_size.values() for one in beside):
        # A user's layer does not say what its defaults are.
        said = ",".join(f"{name}={options[name]}" for name in sorted(differing & options.keys()))
        lines.setdefault(f" [{said}]" if said else "", []).append(point)
    return lines


def _options(point: "Point") -> dict[str, str]:
    """The options of a case, those of a layer of ours that are at their defaults too."""
    usual = defaults(SYSTEMS[point.layer]) if point.layer in SYSTEMS else {}
    return {name: option_text(value) for name, value in usual.items()} | (point.options or {})


def _costs(record: "Record") -> bool:
    """Whether there is something to divide by: a call without tokens, or a layer without parameters, has no price."""
    exact = record.exact
    return record.measured and exact is not None and exact.parameters > 0 and record.point.tokens > 0


def call_of(point: "Point") -> str:
    """A kind of call in words, what is usual left out: ``decode, cold`` or ``forward, 64 tokens, uniform routing``."""
    words = [point.pass_]
    if point.pass_ != "decode":
        words.append(counted(point.tokens, "token"))
    if point.cache != "warm":
        words.append(point.cache)
    if point.routing != "measured":
        words.append(f"{point.routing} routing")
    if point.dtype != "float32":
        words.append(point.dtype)
    if point.input != "text":
        words.append(f"{point.input} input")
    if point.threads != 1:
        words.append(counted(point.threads, "thread"))
    if point.device != "cpu":
        words.append(point.device)
    return ", ".join(words)


def _point(records: "Sequence[Record]") -> CostPoint:
    summary = summarise(records)[0]
    counted = sorted((record.exact for record in records if record.exact), key=lambda exact: sum(exact.flop.values()))
    exact = counted[(len(counted) - 1) // 2]
    memory, flop = summary.memory, sum(exact.flop.values())
    return CostPoint(
        parameters=exact.parameters,
        tokens=summary.point.tokens,
        product=exact.flop.get("product", 0),
        flop=flop,
        operations=flop + exact.routing_operations,
        routing=routing_of(summary.point, exact),
        op_bytes=exact.op_bytes,
        latency_s={record.replicate: record.timing.latency_s for record in records if record.timing is not None},
        compulsory_bytes=exact.compulsory_bytes,
        state_bytes=None if memory is None else memory.state_bytes,
        peak_bytes=None if memory is None else memory.allocated_peak_bytes,
        capacity_ratio=exact.capacity_ratio,
        capacity_ratio_all=exact.capacity_ratio_all,
        times_limit=None if summary.efficiency is None else 1 / summary.efficiency,
        reached=_reached(summary.point, exact),
    )


def _reached(point: "Point", exact: "Exact") -> tuple[Reached, ...]:
    if point.depth and exact.visited_levels:
        uniform = exact.expected_visited_levels
        return (Reached("leaves", exact.visited_levels[-1], uniform[-1] if uniform else None),)
    visits, expected = exact.visits or {}, exact.expected_visits or {}
    return tuple(
        Reached(word, visits[name], expected.get(name))
        for name, word in _REACHED.items()
        # No dropped choice where none is expected says nothing.
        if name in visits and (visits[name] or expected.get(name))
    )


def _slope(points: Sequence[tuple[int, float]]) -> float:
    """The least-squares slope of log y over log x."""
    xs, ys = [math.log(x) for x, _ in points], [math.log(y) for _, y in points]
    slope, _ = statistics.linear_regression(xs, ys)
    return slope
