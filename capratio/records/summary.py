"""One row a case: the median over its processes with an interval, and what was counted."""

import math
import statistics
import zlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from capratio.errors import InputError
from capratio.records.record import Exact, Limit, Memory, Point, Record

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEVEL = 0.95
DRAWS = 2000
"""Bootstrap draws; the ends of an interval over few processes move by less than its third digit beyond this."""

DRIFT_SAMPLES = 6
"""Fewest samples in which a drift is looked for: two in the first third and two in the last."""

_MAD_TO_SIGMA = 1.4826
"""Standard deviation of a normal distribution over its median absolute deviation."""


@dataclass(frozen=True, slots=True)
class CaseSummary:
    """What the replicates of one case say together; numbers of a case without a measurement are None.

    case, suite, group, point: as in its first measured record, or its first. replicates: processes that measured.
    latency_s: median of the processes' medians. low_s, high_s: its 95 % interval, by widened bootstrap over processes
    (``bootstrap_interval_s``); with one process both are the latency. spread: standard deviation between the processes'
    medians over the latency, None with one process. within_noise: the same of the samples inside a process (from the
    median absolute deviation, so that a few interrupts do not make it), the median over processes, None where no
    process has two samples. drift: the median of a process's last third of samples over that of its first third,
    minus 1, the median over processes; None where no process has ``DRIFT_SAMPLES``.
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
    drift: float | None
    efficiency: float | None
    exact: Exact | None
    memory: Memory | None
    limit: Limit | None
    statuses: dict[str, int]


def summarise(records: Iterable[Record]) -> list[CaseSummary]:
    """One summary a case, in the order in which the cases appear; replicates in any order give the same numbers.

    Raises InputError for a replicate of a case that is there twice: one process would count as two.
    """
    cases: dict[str, dict[int, Record]] = {}
    for record in records:
        group = cases.setdefault(record.case, {})
        if record.replicate in group:
            raise InputError(
                f"replicate {record.replicate} of {record.case!r} was given twice; summarise one run at a time."
            )
        group[record.replicate] = record
    return [_summary([group[replicate] for replicate in sorted(group)]) for group in cases.values()]


def process_medians_s(records: Iterable[Record]) -> list[float]:
    """The median latency of each measured record: a fresh process is the unit of replication, never a sample."""
    return [record.timing.latency_s for record in records if record.timing is not None]


def bootstrap_interval_s(medians_s: list[float], seed: int) -> tuple[float, float]:
    """The 95 % interval of the median of ``medians_s``, drawn with replacement and widened; the same for a seed.

    The plain percentiles are too narrow in small numbers: those of three processes are their least and greatest,
    which miss the true median when all three lie on one side of it, one time in four. Their distances from the
    estimate, as log ratios so that no end is negative, are stretched by ``widening``.

    medians_s: the median latency of each process, at least one. seed: any integer of 0 or more.
    Source: Hesterberg 2015, "What Teachers Should Know About the Bootstrap" (expanded percentile), our reading.
    """
    centre_s = statistics.median(medians_s)
    if len(medians_s) == 1:
        return centre_s, centre_s
    low, high = widening(len(medians_s)) * np.log(_drawn_ends(medians_s, seed) / centre_s)
    return centre_s * math.exp(low), centre_s * math.exp(high)


def bootstrap_interval_of_differences(differences: list[float], seed: int) -> tuple[float, float]:
    """``bootstrap_interval_s`` of what may be zero or negative: the distances are stretched as they are."""
    centre = statistics.median(differences)
    if len(differences) == 1:
        return centre, centre
    low, high = widening(len(differences)) * (_drawn_ends(differences, seed) - centre)
    return centre + float(low), centre + float(high)


@cache
def widening(processes: int) -> float:
    """sqrt(n / (n - 1)) · t / z with the quantiles of Student's t for n - 1 degrees and of the normal distribution.

    processes: n, at least 2.
    """
    # Imported here: who counts and exports records needs no statistics.
    from scipy import stats

    tail = (1 + LEVEL) / 2
    return float(math.sqrt(processes / (processes - 1)) * stats.t.ppf(tail, processes - 1) / stats.norm.ppf(tail))


def _drawn_ends(values: list[float], seed: int) -> "NDArray[np.float64]":
    """The ends of the plain percentile interval of the median of ``values``, at least two."""
    generator = np.random.default_rng(seed)
    drawn: NDArray[np.float64] = generator.choice(np.asarray(values), size=(DRAWS, len(values)))
    ends: NDArray[np.float64] = np.quantile(np.median(drawn, axis=1), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return ends


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
        efficiency = _efficiency(measured)
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
        drift=_drift(measured),
        efficiency=efficiency,
        exact=first.exact if measured else None,
        memory=first.memory if measured else None,
        limit=_limit(measured),
        statuses=dict(Counter(record.status for record in records)),
    )


def _shares(measured: list[Record]) -> list[tuple[float, Limit]]:
    """limit / latency of each process, against the ceilings of its own time, smallest first."""
    shares = [
        (record.limit.limit_s / record.timing.latency_s, record.limit)
        for record in measured
        if record.limit is not None and record.timing is not None
    ]
    return sorted(shares, key=lambda share: share[0])


def _efficiency(measured: list[Record]) -> float | None:
    shares = [share for share, _ in _shares(measured)]
    return statistics.median(shares) if shares else None


def _limit(measured: list[Record]) -> Limit | None:
    """The limit of the process whose share is the median."""
    shares = _shares(measured)
    return shares[(len(shares) - 1) // 2][1] if shares else None


def _within_noise(measured: list[Record]) -> float | None:
    noises = []
    for record in measured:
        samples_s = record.timing.samples_s if record.timing is not None else ()
        if len(samples_s) > 1:
            middle_s = statistics.median(samples_s)
            noises.append(_MAD_TO_SIGMA * statistics.median(abs(s - middle_s) for s in samples_s) / middle_s)
    return statistics.median(noises) if noises else None


def _drift(measured: list[Record]) -> float | None:
    drifts = []
    for record in measured:
        samples_s = record.timing.samples_s if record.timing is not None else ()
        if len(samples_s) >= DRIFT_SAMPLES:
            third = len(samples_s) // 3
            drifts.append(statistics.median(samples_s[-third:]) / statistics.median(samples_s[:third]) - 1)
    return statistics.median(drifts) if drifts else None
