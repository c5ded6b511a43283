"""The machine's ceilings: bandwidth as curves over footprint, and the best product rate of each dtype."""

import time
from collections.abc import Callable
from statistics import median

import torch

from capratio.cost.roofline import Ceilings
from capratio.measure.machine import last_level_cache_bytes

SMALLEST_BYTES = 16 * 2**10
# Rows of this size are what a table of q-vectors holds (256 float32).
ROW_BYTES = 1024
REPETITIONS = 5
PRODUCT_SIZES = (256, 512, 1024)
# A dtype slower than this at the smallest size is not measured at larger ones: the rate will not rise a hundredfold.
SLOW_PRODUCT_S = 0.05


def measure_ceilings(threads: int, dtypes: tuple[str, ...], time_budget_s: float, measured_at_s: float) -> Ceilings:
    """Measure what this machine can do at most, on the CPU.

    Each figure is the best of several honest candidates: a sum, a dot product and a matrix-vector product read, so that a
    layer does not read faster than the ceiling that it is held against. A point is the median over repetitions of the
    best of some calls; the spread is the median over points of their relative range.

    Args: threads: intra-op threads. dtypes: names such as ``float32``. time_budget_s: seconds, kept within a factor of two.
    measured_at_s: seconds since the run began.
    """
    torch.set_num_threads(threads)
    footprints = _footprints()
    parts = 3 * len(footprints) + len(dtypes)
    part_s = time_budget_s / parts
    buffer = torch.rand(footprints[-1] // 4)
    target = torch.empty_like(buffer)
    spreads: list[float] = []
    curves: dict[str, list[tuple[float, float]]] = {"read": [], "copy": [], "rows": []}
    with torch.inference_mode():
        for footprint in footprints:
            for name, candidates, moved in _movements(buffer, target, footprint):
                rate, spread = _rate(candidates, moved, part_s)
                curves[name].append((float(footprint), rate))
                spreads.append(spread)
        rates = {}
        for dtype in dtypes:
            rates[dtype], spread = _product_rate(getattr(torch, dtype), part_s)
            spreads.append(spread)
    return Ceilings(
        measured_at_s=measured_at_s,
        threads=threads,
        device="cpu",
        read_curve=tuple(curves["read"]),
        copy_curve=tuple(curves["copy"]),
        random_row_curve=tuple(curves["rows"]),
        flop_per_s=rates,
        spread=median(spreads),
    )


def _footprints() -> list[int]:
    largest = max(256 * 2**20, 4 * last_level_cache_bytes())
    sizes = [SMALLEST_BYTES]
    while sizes[-1] < largest:
        sizes.append(sizes[-1] * 2)
    return sizes


def _movements(
    buffer: torch.Tensor, target: torch.Tensor, footprint: int
) -> list[tuple[str, list[Callable[[], object]], int]]:
    """The ways to move a footprint of bytes, by the curve that they serve, with the bytes that each moves."""
    read = buffer[: footprint // 4]
    other = buffer[: footprint // 8]
    matrix = read.view(-1, min(512, len(read)))
    vector = torch.rand(matrix.shape[1])
    # Copying reads one half of the footprint and writes the other.
    source, copied = buffer[: footprint // 8], target[: footprint // 8]
    rows = read.view(-1, ROW_BYTES // 4)
    order = torch.randperm(len(rows))
    gathered = target[: footprint // 4].view_as(rows)
    return [
        ("read", [read.sum, lambda: torch.mv(matrix, vector), lambda: torch.dot(other, read[len(other) :])], footprint),
        ("copy", [lambda: copied.copy_(source)], footprint),
        ("rows", [lambda: torch.index_select(rows, 0, order, out=gathered)], footprint),
    ]


def _product_rate(dtype: torch.dtype, budget_s: float) -> tuple[float, float]:
    best = (0.0, 0.0)
    for size in PRODUCT_SIZES:
        a, b = (torch.rand(size, size).to(dtype) for _ in range(2))
        best = max(best, _rate([lambda a=a, b=b: torch.mm(a, b)], 2 * size**3, budget_s / len(PRODUCT_SIZES)))
        if 2 * size**3 / best[0] > SLOW_PRODUCT_S:
            break
    return best


def _rate(candidates: list[Callable[[], object]], amount: int, budget_s: float) -> tuple[float, float]:
    """The best candidate's amount per second as the median over repetitions, and their relative range."""
    best = (0.0, 0.0)
    for call in candidates:
        call()
        rates = [amount / _fastest_s(call, budget_s / len(candidates) / REPETITIONS) for _ in range(REPETITIONS)]
        best = max(best, (median(rates), (max(rates) - min(rates)) / median(rates)))
    return best


def _fastest_s(call: Callable[[], object], budget_s: float) -> float:
    """The shortest of the calls that fit a budget, at least one."""
    fastest_s = float("inf")
    end_s = time.perf_counter() + budget_s
    while True:
        before_s = time.perf_counter()
        call()
        after_s = time.perf_counter()
        fastest_s = min(fastest_s, after_s - before_s)
        if after_s >= end_s:
            return fastest_s
