"""Ours beside its peers: each point that a run measures with several backends, against the limit and the fastest peer.

Ratios are taken inside a process, where both sides met the same conditions, and their intervals over processes.
"""

import statistics
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from capratio.cost.spec import LAYERS
from capratio.records.summary import bootstrap_interval_of_differences, bootstrap_interval_s
from capratio.report.palette import series_name

if TYPE_CHECKING:
    from capratio.records.record import Point, Record

# The names under which our own kernels are asked for; the first that a point has is ours.
OUR_BACKENDS = ("auto", "cpu", "cuda")
# What depth 0 is held against: the dense layer of the same sizes, in a process of its own.
LINEAR = "nn.Linear"
# Under this limit a call's own time decides, and is told as an excess; from it on as a ratio.
SMALL_LIMIT_S = 100e-6
# A peer counts as clearly faster from both on: less is the noise of a call.
CLEARLY_RATIO, CLEARLY_S = 1.05, 15e-6


@dataclass(frozen=True, slots=True)
class Estimate:
    """A median over processes with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class ComparedPoint:
    """One point and all backends that have a time there.

    series: the layer in its form, with the options by which others of the run differ from it. call: pass, cache, and
    what else is not usual. latency_s, times_limit: by the backend that was asked for, ours under ``ours``; medians over
    processes. tokens_a_leaf: tokens over the leaves that they visit. over_limit: our latency over the limit.
    over_fastest: ours over the fastest peer, whose name is ``fastest``.
    """

    series: str
    call: str
    in_features: int
    out_features: int
    depth: int
    tokens: int
    ours: str
    tokens_a_leaf: float | None
    limit_s: float | None
    latency_s: Mapping[str, float]
    times_limit: Mapping[str, float]
    over_limit: Estimate | None
    over_fastest: Estimate | None
    fastest: str | None

    @property
    def excess_s(self) -> float | None:
        """How much longer than the limit ours takes."""
        return None if self.limit_s is None else self.latency_s[self.ours] - self.limit_s

    @property
    def speedup(self) -> float | None:
        """How many times faster than the fastest peer ours is."""
        return None if self.over_fastest is None else 1 / self.over_fastest.value

    @property
    def clearly_slower(self) -> bool:
        """Whether a peer is faster by more than a call's noise."""
        if self.over_fastest is None or self.fastest is None:
            return False
        excess_s = self.latency_s[self.ours] - self.latency_s[self.fastest]
        return self.over_fastest.value > CLEARLY_RATIO and excess_s > CLEARLY_S


def ratio_over_processes(ratios: Sequence[float], name: str) -> Estimate:
    """What processes say together; ``name`` seeds the draws, so that a thing has one interval wherever it is shown.

    ratios: one a process, at least one.
    """
    return Estimate(statistics.median(ratios), *bootstrap_interval_s(list(ratios), zlib.crc32(name.encode())))


def difference_over_processes(differences: Sequence[float], name: str) -> Estimate:
    """``ratio_over_processes`` of what may be zero or negative."""
    interval = bootstrap_interval_of_differences(list(differences), zlib.crc32(name.encode()))
    return Estimate(statistics.median(differences), *interval)


def asked_backend(case: str) -> str:
    """The backend that a case's id asks for, which may stand for another one that ran."""
    return case.split("/")[-2]


def tokens_a_leaf(record: "Record") -> float | None:
    """Tokens over the leaves that they visit; each unit with bits of its own brings its token to a leaf."""
    levels = record.exact.visited_levels if record.exact else None
    return record.point.tokens * levels[0] / levels[-1] if levels and levels[-1] else None


def compare(records: "Iterable[Record]") -> list[ComparedPoint]:
    """Every point that was asked of several backends, without those where ours has no time.

    Those with a limit of ``SMALL_LIMIT_S`` or more come first, the largest ratio to it first, then the others, the
    largest excess first. A tree of depth 0 is held against the dense layer of its sizes too.
    """
    kept = list(records)
    places, names = asked_places(kept), SeriesNames(kept)
    found = []
    for key, backends in places.items():
        point = next(iter(backends.values()))[0].point
        if point.layer == "dense":
            continue
        if point.depth == 0 and point.layer in LAYERS:
            dense = places.get(("dense" if point.bias else "dense[nobias]", *key[1:]), {})
            backends = backends | ({LINEAR: dense["auto"]} if "auto" in dense else {})
        ours = next((name for name in OUR_BACKENDS if any(record.measured for record in backends.get(name, ()))), None)
        if len(backends) > 1 and ours is not None:
            found.append(_compared(names.of(point), ours, backends))
    return sorted(found, key=_badness, reverse=True)


def comparing(records: "Iterable[Record]") -> "list[Record]":
    """The records of the suites that ask several backends for a point; other suites show what one layer costs."""
    kept = list(records)
    places = asked_places(kept).values()
    suites = {each[0].suite for backends in places if len(backends) > 1 for each in backends.values()}
    return [record for record in kept if record.suite in suites]


class SeriesNames:
    """The names of the layers of a run: of one that has several sets of options, with those that differ."""

    def __init__(self, records: "Iterable[Record]") -> None:
        found: dict[str, list[set[tuple[str, str]]]] = {}
        for record in records:
            options = set((record.point.options or {}).items())
            known = found.setdefault(series_name(record.point.layer, record.point.form), [])
            if options not in known:
                known.append(options)
        self._common = {series: set.intersection(*known) for series, known in found.items()}

    def of(self, point: "Point") -> str:
        """The name of a point's layer: ``memory-table``, or ``memory-table[lookup=ids]``."""
        series = series_name(point.layer, point.form)
        words = sorted(set((point.options or {}).items()) - self._common[series])
        return f"{series}[{','.join(f'{name}={value}' for name, value in words)}]" if words else series


def asked_places(records: "Iterable[Record]") -> "dict[tuple[str, ...], dict[str, list[Record]]]":
    """Point without its backend → asked backend → records, in the run's order."""
    places: dict[tuple[str, ...], dict[str, list[Record]]] = {}
    for record in records:
        *others, backend, threads = record.case.split("/")
        places.setdefault((*others, threads), {}).setdefault(backend, []).append(record)
    return places


def _compared(series: str, ours: str, backends: "Mapping[str, Sequence[Record]]") -> ComparedPoint:
    times = {name: found for name, records in backends.items() if (found := _times(records))}
    latency_s = {name: statistics.median(found.values()) for name, found in times.items()}
    shares = {name: share for name, records in backends.items() if (share := _over_limit(records))}
    fastest = min((name for name in latency_s if name != ours), key=lambda name: latency_s[name], default=None)
    first = next(record for record in backends[ours] if record.measured)
    limits_s = [record.limit.limit_s for record in backends[ours] if record.measured and record.limit]
    paired = [] if fastest is None else [times[ours][at] / t for at, t in times[fastest].items() if at in times[ours]]
    return ComparedPoint(
        series=series,
        call=_call(first.point),
        in_features=first.point.in_features,
        out_features=first.point.out_features,
        depth=first.point.depth,
        tokens=first.point.tokens,
        ours=ours,
        tokens_a_leaf=tokens_a_leaf(first),
        limit_s=statistics.median(limits_s) if limits_s else None,
        latency_s=latency_s,
        times_limit={name: statistics.median(share) for name, share in shares.items()},
        over_limit=ratio_over_processes(shares[ours], first.case) if ours in shares else None,
        over_fastest=ratio_over_processes(paired, first.case) if paired else None,
        fastest=fastest,
    )


def _badness(point: ComparedPoint) -> tuple[bool, float]:
    if point.limit_s is None or point.over_limit is None:
        return False, 0.0
    large = point.limit_s >= SMALL_LIMIT_S
    return large, point.over_limit.value if large else point.excess_s or 0.0


def _times(records: "Sequence[Record]") -> dict[int, float]:
    return {record.replicate: record.timing.latency_s for record in records if record.timing is not None}


def _over_limit(records: "Sequence[Record]") -> list[float]:
    return [record.timing.latency_s / record.limit.limit_s for record in records if record.timing and record.limit]


def _call(point: "Point") -> str:
    words = (
        (point.dtype, "float32"),
        (point.device, "cpu"),
        (point.routing, "measured"),
        (point.gate, "signs"),
        (point.weight_gradient, "dense"),
    )
    unusual = [word for word, usual in words if word != usual]
    return " ".join([point.pass_, point.cache, *unusual])
