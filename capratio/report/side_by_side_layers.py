"""A layer beside a simpler one of the same sizes: how much longer it takes, and how much more it must touch.

One token of a collapsed tree reads one matrix, as a dense layer does; the path form reads the matrices of a path where
the collapsed form reads one; a tree bias adds rows to a dense layer's output.
"""

import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from capratio.cost.dtypes import ITEM_BYTES
from capratio.report.palette import series_name
from capratio.report.side_by_side import Estimate, asked_backend, ratio_over_processes

if TYPE_CHECKING:
    from capratio.records.record import Exact, Point, Record

# The backends of our layers, and of a user's.
OURS, USERS = "auto", "module"
# A layer's series, its options and ``place_of``.
Place = tuple[str, tuple[tuple[str, str], ...], tuple[object, ...]]


@dataclass(frozen=True, slots=True)
class LayerPair:
    """One layer over another at a point.

    name: both series. point: sizes, tokens and call. latency_s, other_s: medians over processes. ratio: of the
    latencies inside a replicate. bytes_ratio: of the bytes that each must touch, None where they were not counted.
    overhead_over_limit: of a tree bias, what it takes beyond the dense layer over the time of its own bytes.
    """

    name: str
    point: str
    latency_s: float
    other_s: float
    ratio: Estimate
    bytes_ratio: float | None
    overhead_over_limit: float | None

    @property
    def over_bytes(self) -> float | None:
        """How far the ratio of latencies is above the one of bytes."""
        return None if self.bytes_ratio is None else self.ratio.value / self.bytes_ratio


def layer_pairs(records: "Iterable[Record]") -> list[LayerPair]:
    """Our layers beside a simpler one that the run has at the same sizes, call and tokens, worst against bytes first.

    A collapsed tree is held against the dense layer while decoding, a path form against its collapsed form, a tree bias
    against the dense layer.
    """
    cases = layer_places(records)
    pairs = []
    for (series, *_), own in cases.items():
        point = next(iter(own.values())).point
        other = _simpler(point)
        beside = None if other is None else cases.get((other[0], (), place_of(point, other[1])))
        if other is not None and beside is not None and own.keys() & beside.keys():
            pairs.append(_pair(f"{series} / {other[0]}", own, beside))
    return sorted(pairs, key=lambda pair: pair.over_bytes or 0.0, reverse=True)


def layer_places(records: "Iterable[Record]") -> "dict[Place, dict[int, Record]]":
    """Our measured layers and users' by their series, their options and ``place_of``: replicate → record."""
    places: dict[Place, dict[int, Record]] = {}
    for record in records:
        if record.measured and record.exact is not None and asked_backend(record.case) in (OURS, USERS):
            point = record.point
            options = tuple(sorted((point.options or {}).items()))
            where = series_name(point.layer, point.form), options, place_of(point, point.depth)
            places.setdefault(where, {})[record.replicate] = record
    return places


def place_of(point: "Point", depth: int) -> tuple[object, ...]:
    """What a layer of some depth must have in common with a point to be held against it."""
    sizes = point.in_features, point.out_features, depth, point.tokens, point.dtype, point.device
    # A layer without depth has no touched rows, and stands beside both modes.
    mode = point.weight_gradient if depth else "dense"
    return (*sizes, point.pass_, point.cache, point.input, point.threads, point.bias, mode)


def bytes_ratio(exact: "Exact", simpler: "Exact") -> float | None:
    """How many times the bytes one layer must touch that a simpler one must; None where they were not counted."""
    if exact.compulsory_bytes is None or not simpler.compulsory_bytes:
        return None
    return exact.compulsory_bytes / simpler.compulsory_bytes


def added_limit_s(record: "Record") -> float | None:
    """The time of the bytes that a tree bias moves: outputs read and written, each visited row and each leaf read."""
    exact, point = record.exact, record.point
    if record.limit is None or exact is None or exact.visited_levels is None or point.dtype not in ITEM_BYTES:
        return None
    levels = exact.visited_levels
    rows = 2 * point.tokens + (levels[-1] if point.form == "collapsed" else sum(levels))
    moved = rows * point.out_features * ITEM_BYTES[point.dtype] + 8 * point.tokens
    return moved / record.limit.bandwidth_bytes_per_s


def _simpler(point: "Point") -> tuple[str, int] | None:
    """The series and the depth that a point is held against."""
    if point.depth == 0:
        return None
    if point.layer == "tree-shared" and point.form == "path":
        return series_name(point.layer, "collapsed"), point.depth
    decoded = point.layer == "tree-shared" and point.pass_ == "decode"
    return ("dense", 0) if decoded or point.layer == "tree-bias" else None


def _pair(name: str, own: "Mapping[int, Record]", other: "Mapping[int, Record]") -> LayerPair:
    both = sorted(own.keys() & other.keys())
    first, beside = own[both[0]], other[both[0]]
    times, others = ([_latency_s(side[at]) for at in both] for side in (own, other))
    ratios = [one / two for one, two in zip(times, others, strict=True)]
    point, exact, simpler = first.point, first.exact, beside.exact
    words = [point.pass_, point.cache, *([] if point.weight_gradient == "dense" else [point.weight_gradient])]
    assert exact is not None
    assert simpler is not None
    overheads = [one - two for one, two in zip(times, others, strict=True)]
    limit_s = added_limit_s(first) if point.layer == "tree-bias" else None
    return LayerPair(
        name=name,
        point=f"p{point.in_features}-q{point.out_features}-k{point.depth}/n{point.tokens} {' '.join(words)}",
        latency_s=statistics.median(times),
        other_s=statistics.median(others),
        ratio=ratio_over_processes(ratios, first.case),
        bytes_ratio=bytes_ratio(exact, simpler),
        overhead_over_limit=None if limit_s is None else statistics.median(overheads) / limit_s,
    )


def _latency_s(record: "Record") -> float:
    assert record.timing is not None
    return record.timing.latency_s
