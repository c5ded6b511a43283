"""Where a line bends: breakpoints of a piecewise straight line, and the cause that the records give for each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import log
from typing import Any

import numpy as np

from capratio.scaling.bootstrap import Floats
from capratio.scaling.margins import Margins
from capratio.scaling.verdict import Break

# Two caches and the memory give a line three pieces, their transitions at most one more.
_MOST_BREAKS = 3
# A bend has two unknowns and some ten places to be at: by chance its gain in chi-square passes this once in 200 lines.
_LEAST_GAIN = 16.0
# A core's own work and the timer scatter by this much from size to size whatever the number of processes.
_LEAST_RELATIVE_ERROR = 0.01
UNEXPLAINED = "unexplained"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the records say about one size, from which a bend there is explained.

    footprint_bytes: what is touched. tokens_per_leaf: tokens over the leaves that exist, None outside a batch. order:
    the order that ran. launch_bound: on CUDA, whether the device idles for more than half of the wall time.
    """

    footprint_bytes: int | None = None
    tokens_per_leaf: float | None = None
    order: str | None = None
    launch_bound: bool | None = None


def bends(x: Floats, y: Floats, errors: Floats, margins: Margins) -> list[tuple[int, float]]:
    """The sizes at which a straight line bends: (index, change of slope), in rising order.

    All sets of up to three inner sizes are tried as knots of a continuous piecewise straight line, weighted by
    1 / errors². The set is taken whose chi-square, with a price for each knot that chance seldom pays, is least, if
    each of its bends moves the line's far end by ``break_shift`` or more.

    Args: x: rising (n,). y, errors: (n,), errors the standard ones.
    """
    n = len(x)
    errors = np.maximum(errors, _LEAST_RELATIVE_ERROR * np.abs(y))
    # A line needs two sizes for each of its pieces, and its ends.
    counts = range(min(_MOST_BREAKS, max(n - 2, 0) // 2) + 1)
    fits = [
        min(((*_fit(x, y, errors, knots), knots) for knots in combinations(range(1, n - 1), count)), key=lambda f: f[0])
        for count in counts
    ]
    # A line that no set of knots fits scatters beyond its errors, and gains are measured by that scatter.
    scatter = max(1.0, fits[-1][0] / max(n - 2 - 2 * (len(fits) - 1), 1))
    scores = [residual / scatter + _LEAST_GAIN * count for count, (residual, _, _) in enumerate(fits)]
    for count in sorted(counts, key=scores.__getitem__):
        _, changes, knots = fits[count]
        if np.all(np.abs(changes) * (x[-1] - x[list(knots)]) >= margins.break_shift * np.abs(y[-1])):
            return [(knot, float(change)) for knot, change in zip(knots, changes, strict=True)]
    return []


def _fit(x: Floats, y: Floats, errors: Floats, knots: tuple[int, ...]) -> tuple[float, Floats]:
    columns = [np.ones_like(x), x - x[0], *(np.clip(x - x[knot], 0.0, None) for knot in knots)]
    design = np.column_stack(columns) / errors[:, None]
    scales = np.linalg.norm(design, axis=0)
    solution, *_ = np.linalg.lstsq(design / scales, y / errors, rcond=None)
    residual = float(np.sum((design / scales @ solution - y / errors) ** 2))
    return residual, np.asarray((solution / scales)[2:])


def cache_capacities(machine: Mapping[str, Any] | None, device: str = "cpu") -> dict[str, int]:
    """The data caches of ``machine.json`` by level, smallest first: {"L1": 32768, …}; empty where it names none.

    Args: machine: its ``caches`` maps ``L1d``, ``L1i``, ``L2``, ``L3`` to sizes in bytes, its ``gpu_l2_bytes`` is that
    of the CUDA device. device: ``cpu`` or ``cuda``, whose caches are asked for.
    """
    if device != "cpu":
        l2_bytes = (machine or {}).get("gpu_l2_bytes", 0)
        return {"L2": int(l2_bytes)} if _is_size(l2_bytes) else {}
    caches = (machine or {}).get("caches")
    found: dict[str, int] = {}
    if isinstance(caches, Mapping):
        for name, size in caches.items():
            text = str(name).lower()
            instructions = text.startswith("l1i")
            if text[:1] == "l" and text[1:2].isdigit() and not instructions and _is_size(size):
                found[f"L{text[1]}"] = int(size)
    return dict(sorted(found.items(), key=lambda item: item[1]))


def _is_size(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0


def named(
    found: Sequence[tuple[int, float]],
    x: Floats,
    surroundings: Sequence[Surroundings],
    capacities: Mapping[str, int],
    margins: Margins,
) -> tuple[Break, ...]:
    """A name for each bend: an upward one by what changes there, a downward one as the end of the bend before it.

    Args: found: from ``bends``. surroundings: one a size. capacities: from ``cache_capacities``.
    """
    breaks: list[Break] = []
    for index, change in found:
        name = _cause(index, surroundings, capacities, margins)
        if change < 0 and name == UNEXPLAINED and breaks and breaks[-1].explained:
            # Past a cache, latency rises while its hits thin out and then levels off at the next level's price.
            name = f"past {breaks[-1].name.removeprefix('past ')}"
        if breaks and breaks[-1].name == name and name != UNEXPLAINED:
            # One cause that bends the line twice in a row is one break.
            continue
        breaks.append(Break(float(x[index]), name, name != UNEXPLAINED, surroundings[index].footprint_bytes))
    return tuple(breaks)


def _cause(index: int, surroundings: Sequence[Surroundings], capacities: Mapping[str, int], margins: Margins) -> str:
    before, here, after = (surroundings[index + step] for step in (-1, 0, 1))
    orders = [each for each in (before.order, here.order, after.order) if each is not None]
    if len(set(orders)) > 1:
        return f"order changes from {orders[0]} to {orders[-1]}"
    if before.launch_bound and not after.launch_bound:
        return "launch-bound edge"
    first, last = before.tokens_per_leaf, after.tokens_per_leaf
    if first is not None and last is not None and first >= 1.0 >= last:
        return "fewer than one token a leaf"
    if here.footprint_bytes is None or here.footprint_bytes <= 0:
        return UNEXPLAINED
    distance = {level: abs(log(here.footprint_bytes / size)) for level, size in capacities.items()}
    nearest = min(distance, key=distance.__getitem__, default=None)
    if nearest is None or distance[nearest] > log(margins.cache_crossing_factor):
        return UNEXPLAINED
    return nearest
