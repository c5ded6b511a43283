"""The comparison with peers as rows of text, for the page and its Markdown twin alike."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from capratio.report.goal_answers import answer_goals
from capratio.report.goal_table import GoalRow, goal_rows
from capratio.report.goals import read_goals
from capratio.report.palette import backend_looks
from capratio.report.quantities import NOTHING, measured, number, quantity
from capratio.report.side_by_side import (
    CLEARLY_RATIO,
    CLEARLY_S,
    SMALL_LIMIT_S,
    ComparedPoint,
    Estimate,
    compare,
    comparing,
)
from capratio.report.side_by_side_gradients import GradientOverhead, gradient_overheads
from capratio.report.side_by_side_layers import LayerPair, layer_pairs
from capratio.report.side_by_side_summary import FEW_TOKENS_A_LEAF, CallSummary, missing_peers, summarise_calls
from capratio.units import whole

if TYPE_CHECKING:
    from capratio.records.record import Record

# All points of a published grid; of a larger one the worst, and every record lies beside the page.
MOST_ROWS = 400
SUMMARY_HEADINGS = (
    "layer and call",
    "points",
    f"latency / limit from {quantity(SMALL_LIMIT_S, 's')} on: mean (points)",
    "worst",
    "largest excess over a smaller limit (points)",
    "a peer is faster",
    f"by more than {CLEARLY_RATIO} times and {quantity(CLEARLY_S, 's', 2)}",
    f"least speedup, ≤ {FEW_TOKENS_A_LEAF:g} tokens a leaf",
)
PAIR_HEADINGS = (
    "layer / simpler layer",
    "point",
    "latency",
    "simpler",
    "ratio",
    "ratio of the bytes that each must touch",
    "ratio over it",
    "overhead / limit of its bytes",
)
GRADIENT_HEADINGS = (
    "layer and backend",
    "points",
    "inference mode",
    "recording adds, median over points",
    "most",
    "at",
)
GRADIENT_WORDS = (
    "A forward pass while autograd records it, with nothing going backward, beside the same call under inference mode "
    "in the same process: what recording adds, with 95 % intervals over processes."
)
# Behind these the latencies of all peers.
POINT_HEADINGS = ("point", "tokens a leaf", "limit", "ours", "ours / limit", "ours / fastest peer", "fastest peer")
PAIR_WORDS = (
    "Our layers beside a simpler one of the same sizes: a token of a collapsed tree beside the dense layer, the path "
    "form beside the collapsed one, a tree bias beside the dense layer. These run in processes of their own, and "
    "ratios are taken inside a replicate."
)
WORDS = (
    "One process measures our kernels and their peers on the same weights and tokens, in random order, each answer "
    "held against float64 before its time is taken. Ratios are taken inside a process (against nn.Linear and between "
    "two modes of a gradient inside a replicate, whose processes lie close in time), with 95 % intervals over "
    f"processes. A limit under {quantity(SMALL_LIMIT_S, 's')} is shorter than the calls around a product, so that "
    "there the excess over it is told and not the ratio."
)


@dataclass(frozen=True, slots=True)
class SideBySide:
    """The section: the goals, which peers are missing, the summary, gradients, the points, and simpler layers.

    goals: those that a case of the run is asked for; goals_elsewhere: how many others there are, in a sentence.
    """

    goals: Sequence[GoalRow]
    goals_elsewhere: str
    points: Sequence[ComparedPoint]
    missing: Sequence[str]
    summary: Sequence[Sequence[str]]
    gradients: Sequence[Sequence[str]]
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str
    pairs: Sequence[Sequence[str]]


def side_by_side_section(records: "Iterable[Record]") -> SideBySide | None:
    """The section of a run's suites that ask several backends for a point, or None where there is none."""
    kept = comparing(records)
    if not kept:
        return None
    points = compare(kept)
    backends = list(backend_looks(list({name for point in points for name in point.latency_s} - {"auto"})))
    shown = points[:MOST_ROWS]
    answers = answer_goals(read_goals(), kept)
    asked = [answer for answer in answers if answer.points or answer.without_time]
    headings, rows = _filled([*POINT_HEADINGS, *backends], [_cells(point, backends) for point in shown])
    return SideBySide(
        goal_rows(asked),
        _elsewhere(len(answers) - len(asked)),
        points,
        missing_peers(kept),
        [_summary_cells(summary) for summary in summarise_calls(points)],
        [_gradient_cells(overhead) for overhead in gradient_overheads(kept)],
        headings,
        rows,
        _caption(len(shown), len(points)),
        [_pair_cells(pair) for pair in layer_pairs(kept)[:MOST_ROWS]],
    )


def _filled(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    """A table without the columns in which no row has anything: of layers without leaves, or without a limit."""
    kept = [place for place in range(len(headings)) if any(row[place] != NOTHING for row in rows)]
    return [headings[place] for place in kept], [[row[place] for place in kept] for row in rows]


def _elsewhere(goals: int) -> str:
    if goals == 0:
        return ""
    have = "goal has" if goals == 1 else "goals have"
    return f"{whole(goals)} {have} no case in this run: they are of other layers or of another device."


def _caption(shown: int, points: int) -> str:
    left_out = f"The {shown} worst of {whole(points)} points" if shown < points else f"All {whole(points)} points"
    return (
        f"{left_out}, farthest from the limit first: by the ratio where the limit is {quantity(SMALL_LIMIT_S, 's')} or "
        "more, then by the excess. Every sample of every point is in records.jsonl.gz."
    )


def _summary_cells(summary: CallSummary) -> list[str]:
    return [
        summary.name,
        str(summary.points),
        f"{number(summary.mean_over_limit)} ({summary.large})",
        number(summary.worst_over_limit),
        f"{quantity(summary.largest_excess_s, 's')} ({summary.small})",
        _share(summary.peer_faster, summary.compared),
        _share(summary.peer_clearly_faster, summary.compared),
        number(summary.least_speedup),
    ]


def _gradient_cells(overhead: GradientOverhead) -> list[str]:
    return [
        f"{overhead.series}: {overhead.backend}",
        str(overhead.points),
        quantity(overhead.inferred_s, "s"),
        _interval(overhead.overhead_s, "s"),
        _interval(overhead.largest_s, "s"),
        overhead.case,
    ]


def _cells(point: ComparedPoint, backends: Sequence[str]) -> list[str]:
    size = f"p{point.in_features}-q{point.out_features}-k{point.depth}/n{point.tokens}"
    return [
        f"{point.series} {size} {point.call}",
        number(point.tokens_a_leaf),
        quantity(point.limit_s, "s"),
        quantity(point.latency_s[point.ours], "s"),
        _interval(point.over_limit),
        _interval(point.over_fastest),
        point.fastest or NOTHING,
        *(quantity(point.latency_s.get(name), "s") for name in backends),
    ]


def _pair_cells(pair: LayerPair) -> list[str]:
    return [
        pair.name,
        pair.point,
        quantity(pair.latency_s, "s"),
        quantity(pair.other_s, "s"),
        _interval(pair.ratio),
        number(pair.bytes_ratio),
        number(pair.over_bytes),
        number(pair.overhead_over_limit),
    ]


def _interval(estimate: Estimate | None, unit: str = "") -> str:
    return NOTHING if estimate is None else measured(estimate.value, estimate.low, estimate.high, unit)


def _share(count: int, of: int) -> str:
    return NOTHING if of == 0 else f"{count} of {of} ({count / of:.0%})"
