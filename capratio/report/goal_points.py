"""The points of a run that a goal covers: the times of ours, and of what each is held against, in each process."""

import re
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from capratio.report.goals import RANGES, Goal
from capratio.report.palette import series_name
from capratio.report.side_by_side import asked_backend, tokens_a_leaf
from capratio.report.side_by_side_layers import OURS, USERS, added_limit_s, bytes_ratio, layer_places, place_of

if TYPE_CHECKING:
    from capratio.records.record import Point, Record

# Ours and the other's seconds in one process.
Times = tuple[float, float]
# A layer's gradient of its weights is a mode that each side chooses for itself.
_MODE = re.compile(r"(?<!:)weight_gradient=[^,\]]*,?")


@dataclass(frozen=True, slots=True)
class GoalPoint:
    """One point that a goal covers: the id of our case, and its times by process."""

    case: str
    times_s: Mapping[int, Times]


@dataclass(frozen=True, slots=True)
class Covered:
    """What a goal covers of a run, and the ids of our cases that lack a time on one side."""

    points: Sequence[GoalPoint]
    without_time: Sequence[str]


class RunCases:
    """The records of a run, found by their case, by the place that peers share, and by layer."""

    def __init__(self, records: "Iterable[Record]") -> None:
        kept = list(records)
        self.cases: dict[str, list[Record]] = {}
        for record in kept:
            self.cases.setdefault(record.case, []).append(record)
        self.places: dict[str, list[str]] = {}
        for case in self.cases:
            self.places.setdefault(_contest(case), []).append(case)
        self.layers = layer_places(kept)

    def fastest(self, case: str, backends: Sequence[str]) -> str | None:
        """The fastest case of some backends at the place of a case, whatever the mode of their gradients."""
        times_s = {
            other: statistics.median(found.values())
            for other in self.places[_contest(case)]
            if asked_backend(other) in backends and (found := self.times_s(other))
        }
        return min(times_s, key=lambda other: times_s[other], default=None)

    def fastest_layer(self, case: str, layers: "Sequence[Mapping[str, object]]") -> "Mapping[int, Record]":
        """The fastest of some layers at the sizes and the call of a case, by process; empty where there is none."""
        point = self.cases[case][0].point
        place = place_of(point, point.depth)
        found = [
            records
            for (*_, where), records in self.layers.items()
            if where == place and any(_is_layer(next(iter(records.values())).point, layer) for layer in layers)
        ]
        return min(found, key=lambda each: statistics.median(map(_latency_s, each.values())), default={})

    def times_s(self, case: str) -> dict[int, float]:
        """The latency of a case in each process that measured it."""
        return {record.replicate: _latency_s(record) for record in self.cases[case] if record.timing is not None}


def covered(goal: Goal, run: RunCases) -> Covered:
    """The points of ours that a goal covers, in the order of the run."""
    points, without_time = [], []
    for case, records in run.cases.items():
        if asked_backend(case) not in (OURS, USERS) or not _selected(goal, records):
            continue
        if goal.against == "peers" and run.fastest(case, [OURS]) not in (case, None):
            # Another mode of ours stands for this point.
            continue
        times_s = _TIMES[goal.against](goal, run, case)
        if times_s:
            points.append(GoalPoint(case, times_s))
        else:
            without_time.append(case)
    return Covered(points, without_time)


def _selected(goal: Goal, records: "Sequence[Record]") -> bool:
    first = next((record for record in records if record.measured), records[0])
    limits_s = [record.limit.limit_s for record in records if record.limit]
    known = {"limit_s": statistics.median(limits_s) if limits_s else None, "tokens_a_leaf": tokens_a_leaf(first)}
    if not _has_options(first.point, goal.where.get("options", {})):
        return False
    for key, asked in goal.where.items():
        if key == "options":
            continue
        value = known[key] if key in known else getattr(first.point, "pass_" if key == "pass" else key)
        # What was never measured has no limit: it is told as a point without a time, not left out.
        if key in RANGES and value is not None and not asked[0] <= value <= asked[1]:  # type: ignore[index]
            return False
        if key not in RANGES and value != asked:
            return False
    return True


def _over_limit(_: Goal, run: RunCases, case: str) -> dict[int, Times]:
    return {r.replicate: (_latency_s(r), r.limit.limit_s) for r in run.cases[case] if r.timing and r.limit}


def _over_peers(goal: Goal, run: RunCases, case: str) -> dict[int, Times]:
    peer = run.fastest(case, goal.peers)
    return {} if peer is None else _both(run.times_s(case), run.times_s(peer))


def _over_dense(_: Goal, run: RunCases, case: str) -> dict[int, Times]:
    beside = _beside(run, case, "dense", 0)
    return _both(run.times_s(case), {at: _latency_s(record) for at, record in beside.items()})


def _over_collapsed(_: Goal, run: RunCases, case: str) -> dict[int, Times]:
    point = run.cases[case][0].point
    beside = _beside(run, case, series_name(point.layer, "collapsed"), point.depth)
    allowed_s = {}
    for record in run.cases[case]:
        simpler = beside.get(record.replicate)
        if simpler and simpler.exact and record.exact and (ratio := bytes_ratio(record.exact, simpler.exact)):
            allowed_s[record.replicate] = ratio * _latency_s(simpler)
    return _both(run.times_s(case), allowed_s)


def _over_own_bytes(_: Goal, run: RunCases, case: str) -> dict[int, Times]:
    beside = _beside(run, case, "dense", 0)
    return {
        record.replicate: (_latency_s(record) - _latency_s(beside[record.replicate]), limit_s)
        for record in run.cases[case]
        if record.timing and record.replicate in beside and (limit_s := added_limit_s(record))
    }


def _over_layers(goal: Goal, run: RunCases, case: str) -> dict[int, Times]:
    beside = run.fastest_layer(case, goal.beside)
    return _both(run.times_s(case), {at: _latency_s(record) for at, record in beside.items()})


_TIMES: Mapping[str, Callable[[Goal, RunCases, str], dict[int, Times]]] = {
    "limit": _over_limit,
    "peers": _over_peers,
    "dense": _over_dense,
    "collapsed": _over_collapsed,
    "own-bytes": _over_own_bytes,
    "layers": _over_layers,
}


def _beside(run: RunCases, case: str, series: str, depth: int) -> "Mapping[int, Record]":
    return run.layers.get((series, (), place_of(run.cases[case][0].point, depth)), {})


def _is_layer(point: "Point", layer: Mapping[str, object]) -> bool:
    return point.layer == layer["layer"] and _has_options(point, layer.get("options", {}))


def _has_options(point: "Point", asked: object) -> bool:
    known = point.options or {}
    return isinstance(asked, Mapping) and all(known.get(name) == value for name, value in asked.items())


def _both(ours_s: Mapping[int, float], others_s: Mapping[int, float]) -> dict[int, Times]:
    return {at: (time_s, others_s[at]) for at, time_s in ours_s.items() if at in others_s}


def _contest(case: str) -> str:
    """A case's id without its backend and the mode of its gradient, alike for all that compute the same."""
    *others, _, threads = _MODE.sub("", case).split("/")
    return "/".join((others[0].replace(",]", "]").replace("[]", ""), *others[1:], threads))


def _latency_s(record: "Record") -> float:
    assert record.timing is not None
    return record.timing.latency_s
