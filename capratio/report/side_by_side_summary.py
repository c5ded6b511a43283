"""The comparison with peers in few numbers, one row a layer and call, and the listed peers that it lacks."""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import exp, log
from typing import TYPE_CHECKING

from capratio.report.palette import series_name
from capratio.report.side_by_side import SMALL_LIMIT_S, ComparedPoint, asked_places
from capratio.units import counted

if TYPE_CHECKING:
    from capratio.records.record import Record

# Layer and form → the peers without which a comparison is not whole.
LISTED = {
    ("tree-shared", "collapsed"): ("reference", "grouped-mm", "gather-bmm"),
    ("tree-unit", "path"): ("embedding-bag",),
    ("tree-unit", "collapsed"): ("embedding-bag",),
    ("fast-feedforward", "path"): ("ultrafastbert",),
    ("fast-feedforward", "leaf"): ("fastfeedforward",),
    ("moe-sparse", "path"): ("reference", "grouped-mm", "hf-eager", "hf-batched-mm", "hf-grouped-mm"),
    ("memory-table", "path"): ("embedding-bag",),
}
FEW_TOKENS_A_LEAF = 4.0


@dataclass(frozen=True, slots=True)
class CallSummary:
    """All points of one layer and call; a number is None where no point gives it.

    mean_over_limit, worst_over_limit: geometric mean and largest of latency / limit, over ``large`` points whose limit
    is ``SMALL_LIMIT_S`` or more. largest_excess_s: of the ``small`` other points. compared: points with a peer;
    peer_faster, peer_clearly_faster: how many of them. least_speedup: with at most ``FEW_TOKENS_A_LEAF``.
    """

    name: str
    points: int
    large: int
    mean_over_limit: float | None
    worst_over_limit: float | None
    small: int
    largest_excess_s: float | None
    compared: int
    peer_faster: int
    peer_clearly_faster: int
    least_speedup: float | None


def missing_peers(records: "Iterable[Record]") -> list[str]:
    """A sentence for each listed peer that has no time in a side-by-side run of its layer."""
    cases: dict[tuple[str, str], dict[str, list[Record]]] = {}
    for backends in asked_places(records).values():
        point = next(iter(backends.values()))[0].point
        if len(backends) > 1:
            known = cases.setdefault((point.layer, point.form), {})
            for backend, each in backends.items():
                known.setdefault(backend, []).extend(each)
    return [
        f"{peer} is a listed peer of {series_name(*layer)} and has no time in this run: {_why(backends.get(peer, []))}"
        for layer, backends in cases.items()
        for peer in LISTED.get(layer, ())
        if not any(record.measured for record in backends.get(peer, ()))
    ]


def summarise_calls(points: Sequence[ComparedPoint]) -> list[CallSummary]:
    """One summary a layer and call, trees of depth 0 apart, in the order of their names."""
    calls: dict[str, list[ComparedPoint]] = {}
    for point in points:
        # What is no tree has no leaves.
        bare = point.depth == 0 and point.tokens_a_leaf is not None
        name = f"{point.series}{', depth 0' if bare else ''}: {point.call}"
        calls.setdefault(name, []).append(point)
    return [_summary(name, calls[name]) for name in sorted(calls)]


def _summary(name: str, points: Sequence[ComparedPoint]) -> CallSummary:
    limited = [(point.limit_s, point) for point in points if point.limit_s is not None]
    large = [point.over_limit.value for limit_s, point in limited if limit_s >= SMALL_LIMIT_S and point.over_limit]
    small = [point.latency_s[point.ours] - limit_s for limit_s, point in limited if limit_s < SMALL_LIMIT_S]
    compared = [(point, point.speedup) for point in points if point.speedup is not None]
    few = [speedup for point, speedup in compared if (point.tokens_a_leaf or float("inf")) <= FEW_TOKENS_A_LEAF]
    return CallSummary(
        name=name,
        points=len(points),
        large=len(large),
        mean_over_limit=exp(statistics.fmean(map(log, large))) if large else None,
        worst_over_limit=max(large, default=None),
        small=len(small),
        largest_excess_s=max(small, default=None),
        compared=len(compared),
        peer_faster=sum(speedup < 1 for _, speedup in compared),
        peer_clearly_faster=sum(point.clearly_slower for point, _ in compared),
        least_speedup=min(few, default=None),
    )


def _why(records: "Sequence[Record]") -> str:
    if not records:
        return "no case asks for it."
    first = records[0]
    return f"{counted(len(records), 'measurement')} ended without one, the first {first.status}: {first.reason}"
