"""A line: one value a process at each size, ready to be fitted."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from statistics import median

import numpy as np

from capratio.records.record import Record
from capratio.scaling.bootstrap import Floats, draw_locations, interval, location
from capratio.scaling.margins import Margins
from capratio.scaling.verdict import FitPoint


@dataclass(frozen=True, slots=True)
class Line:
    """Values over a size.

    x: rising sizes (n,). values: for each size the value of each process. levels: (n,) what the values' noise is in
    proportion to. examples: one record a size, for what all its processes share.
    """

    x: Floats
    values: tuple[Floats, ...]
    levels: Floats
    examples: tuple[Record, ...]

    @property
    def processes(self) -> int:
        """The fewest processes of any size; 0 for an empty line."""
        return min((len(each) for each in self.values), default=0)

    def replicated(self, processes: int) -> "Line":
        """The sizes that have so many processes or more."""
        kept = [index for index, each in enumerate(self.values) if len(each) >= processes]
        return Line(
            self.x[kept],
            tuple(self.values[index] for index in kept),
            self.levels[kept],
            tuple(self.examples[index] for index in kept),
        )


@dataclass(frozen=True, slots=True)
class Measured:
    """What one process contributes to a line: its size, its value, and the level of its noise."""

    x: float
    value: float
    level: float
    record: Record


def latency_s(record: Record) -> float | None:
    """The median of a process's samples, seconds: device time where there is one, else the clock's; or None."""
    return None if record.timing is None else record.timing.latency_s


def line_of(measured: Iterable[Measured], key: Callable[[Record], object]) -> Line:
    """The line of what processes measured, one value a case and replicate (the last, where a case was repeated).

    Args: key: what names a size (the depth, where x is counted FLOP); x is the median over its processes.
    """
    sizes: dict[object, dict[int, Measured]] = defaultdict(dict)
    for each in measured:
        sizes[key(each.record)][each.record.replicate] = each
    # By replicate, so that the draws of a bootstrap do not hang on the order in which processes ended.
    ordered = ([by[replicate] for replicate in sorted(by)] for by in sizes.values())
    rows = [(float(median(m.x for m in row)), row) for row in ordered]
    rows.sort(key=lambda row: row[0])
    return Line(
        np.array([x for x, _ in rows]),
        tuple(np.array([m.value for m in row]) for _, row in rows),
        np.array([median(m.level for m in row) for _, row in rows]),
        tuple(row[0].record for _, row in rows),
    )


def points_of(line: Line, margins: Margins, rng: np.random.Generator, *, difference: bool) -> tuple[FitPoint, ...]:
    """The points of a line with their intervals; a difference says whether it stands clear of its noise."""
    points = []
    for x, values in zip(line.x, line.values, strict=True):
        y = float(location(values))
        low, high = interval(draw_locations(values, margins.bootstrap_draws, rng), margins.confidence)
        half_width = float(high - low) / 2.0
        alone = len(values) < 2
        resolved = not difference or (not alone and y >= margins.resolution_factor * half_width)
        points.append(FitPoint(float(x), y, float(low), float(high), len(values), resolved, tuple(map(float, values))))
    return tuple(points)
