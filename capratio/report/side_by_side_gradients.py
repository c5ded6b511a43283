"""What a forward pass takes longer while autograd records it than under inference mode, for ours and each peer."""

import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from capratio.report.side_by_side import Estimate, SeriesNames, asked_backend, difference_over_processes

if TYPE_CHECKING:
    from capratio.records.record import Record

RECORDED, INFERRED = "/forward-grad/", "/forward/"


@dataclass(frozen=True, slots=True)
class GradientOverhead:
    """One layer and backend over all points that a process called both ways.

    inferred_s: the median latency under inference mode. overhead_s: the median over points of what recording adds, in
    each process, and then over processes. largest_s: of the point where the median over processes is largest, whose
    case is ``case``.
    """

    series: str
    backend: str
    points: int
    inferred_s: float
    overhead_s: Estimate
    largest_s: Estimate
    case: str


def gradient_overheads(records: "Iterable[Record]") -> list[GradientOverhead]:
    """One row a layer and backend, in the order of the run; none where no point was called both ways."""
    times_s: dict[str, dict[int, float]] = {}
    names: dict[str, tuple[str, str]] = {}
    kept = list(records)
    series = SeriesNames(kept)
    for record in kept:
        if record.timing is not None and record.point.pass_ in ("forward", "forward-grad"):
            times_s.setdefault(record.case, {})[record.replicate] = record.timing.latency_s
            names[record.case] = series.of(record.point), asked_backend(record.case)
    rows: dict[tuple[str, str], dict[str, dict[int, tuple[float, float]]]] = {}
    for case, recorded_s in times_s.items():
        inferred_s = times_s.get(case.replace(RECORDED, INFERRED), {}) if RECORDED in case else {}
        both = {at: (time_s, inferred_s[at]) for at, time_s in recorded_s.items() if at in inferred_s}
        if both:
            rows.setdefault(names[case], {})[case] = both
    return [_overhead(*name, cases) for name, cases in rows.items()]


def _overhead(series: str, backend: str, cases: Mapping[str, Mapping[int, tuple[float, float]]]) -> GradientOverhead:
    added_s = {case: {at: one - two for at, (one, two) in both.items()} for case, both in cases.items()}
    processes = sorted({at for each in added_s.values() for at in each})
    of_process = [statistics.median(each[at] for each in added_s.values() if at in each) for at in processes]
    worst = max(added_s, key=lambda case: statistics.median(added_s[case].values()))
    return GradientOverhead(
        series=series,
        backend=backend,
        points=len(cases),
        inferred_s=statistics.median(statistics.median(two for _, two in both.values()) for both in cases.values()),
        overhead_s=difference_over_processes(of_process, f"{series} {backend}"),
        largest_s=difference_over_processes(list(added_s[worst].values()), worst),
        case=worst,
    )
