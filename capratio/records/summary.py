"""One row a case: the median over its processes with an interval, and what was counted."""

import statistics
import zlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from capratio.records.record import Exact, Limit, Memory, Point, Record

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEVEL = 0.95
DRAWS = 2000
"""Bootstrap draws; the ends of an interval over few processes move by less than its third digit beyond this."""

_MAD_TO_SIGMA = 1.4826
"""Standard deviation of a normal distribution over its median absolute deviation."""


@dataclass(frozen=True, slots=True)
class CaseSummary:
    """What the replicates of one case say together; numbers of a case without a measurement are None.

    case, suite, group, point: as in its first measured record, or its first. replicates: processes that measured.
    latency_s: median of the processes' medians. low_s, high_s: its 95 % interval, by bootstrap over processes; with one
    process both are the latency. spread: standard deviation between the processes' medians over the latency, None with
    one process. within_noise: the same of the samples inside a process (from the median absolute deviation, so that a
    few interrupts do not make it), the median over processes, None where no process has two samples.
    efficiency: limit over latency, against the roofline. exact, memory, limit: of the first measured record.
    statuses: status → number of records that ended so.
    """

    case: str
    suite: str
    group: str
    point: Point
    replicates: int
    latency_s: float | None
    low_s: float | None
    high_s: float | None
    spread: float | None
    within_noise: float | None
    efficiency: float | None
    exact: Exact | None
    memory: Memory | None
    limit: Limit | None
    statuses: dict[str, int]


def summarise(records: Iterable[Record]) -> list[CaseSummary]:
    """One summary a case, in the order in which the cases appear; replicates in any order give the same numbers."""
    cases: dict[str, list[Record]] = {}
    for record in records:
        cases.setdefault(record.case, []).append(record)
    return [_summary(sorted(group, key=lambda record: record.replicate)) for group in cases.values()]


def process_medians_s(records: Iterable[Record]) -> list[float]:
    """The median latency of each measured record: a fresh process is the unit of replication, never a sample."""
    return [statistics.median(record.timing.samples_s) for record in records if record.timing is not None]


def bootstrap_interval_s(medians_s: list[float], seed: int) -> tuple[float, float]:
    """The 95 % percentile interval of the median of ``medians_s``, drawn with replacement; the same for a seed."""
    if len(medians_s) == 1:
        return medians_s[0], medians_s[0]
    generator = np.random.default_rng(seed)
    drawn: NDArray[np.float64] = generator.choice(np.asarray(medians_s), size=(DRAWS, len(medians_s)))
    low, high = np.quantile(np.median(drawn, axis=1), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def _summary(records: list[Record]) -> CaseSummary:
    measured = [record for record in records if record.timing is not None]
    first = (measured or records)[0]
    medians_s = process_medians_s(measured)
    latency_s = low_s = high_s = spread = efficiency = None
    if medians_s:
        latency_s = statistics.median(medians_s)
        # The case's name is the seed, so that a case has one interval in whatever company it is summarised.
        low_s, high_s = bootstrap_interval_s(medians_s, zlib.crc32(first.case.encode()))
        spread = statistics.stdev(medians_s) / latency_s if len(medians_s) > 1 else None
        efficiency = first.limit.limit_s / latency_s if first.limit is not None else None
    return CaseSummary(
        case=first.case,
        suite=first.suite,
        group=first.group,
        point=first.point,
        replicates=len(measured),
        latency_s=latency_s,
        low_s=low_s,
        high_s=high_s,
        spread=spread,
        within_noise=_within_noise(measured),
        efficiency=efficiency,
        exact=first.exact if measured else None,
        memory=first.memory if measured else None,
        limit=first.limit if measured else None,
        statuses=dict(Counter(record.status for record in records)),
    )


def _within_noise(measured: list[Record]) -> float | None:
    noises = []
    for record in measured:
        samples_s = record.timing.samples_s if record.timing is not None else ()
        if len(samples_s) > 1:
            middle_s = statistics.median(samples_s)
            noises.append(_MAD_TO_SIGMA * statistics.median(abs(s - middle_s) for s in samples_s) / middle_s)
    return statistics.median(noises) if noises else None
