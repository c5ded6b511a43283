"""What this machine can do at most, measured: bandwidth over footprint and the rate of products, with their spread."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import isfinite
from statistics import median, quantiles

import torch

from capratio.cost.roofline import Ceilings
from capratio.errors import InputError
from capratio.measure.bandwidth import COPY, RANDOM_ROW, READ, bandwidth_probes, footprints
from capratio.measure.clock import Clock, PerfClock
from capratio.measure.cuda_device import l2_bytes
from capratio.measure.free_memory import free_memory_bytes
from capratio.measure.machine import last_level_cache_bytes
from capratio.measure.probe import Probe, best_rate
from capratio.measure.product_rate import PRODUCT, product_dtype, product_probes, with_float32_as_half

# Rounds over all points, so that the repetitions of a point lie apart and see how the machine drifts; many short ones
# meet a quiet moment more surely than few long ones.
ROUNDS = 6
LEAST_ROUNDS = 2

Point = tuple[str, int | str]


def measure_ceilings(
    threads: int,
    dtypes: tuple[str, ...],
    time_budget_s: float,
    measured_at_s: float = 0.0,
    device: str = "cpu",
    clock: Clock | None = None,
) -> Ceilings:
    """Measure the ceilings for a number of threads.

    A point is the best over candidates and rounds, since a ceiling is what the machine can do, not what it often does.
    The spread tells how well it is known (see ``spread_of``). A footprint is given at least the bandwidth of every
    larger one, which holds it.

    Args: threads: intra-op threads, set while this measures. dtypes: names of those whose product rate is wanted;
    float32 is always measured. time_budget_s: seconds, about; two rounds are always made. measured_at_s: seconds since
    the run began, kept in the result. device: ``cpu`` or ``cuda``.

    Raises InputError for under 1 thread, a budget that is not positive, or an unknown dtype.
    """
    if threads < 1:
        raise InputError(f"threads={threads} was given; at least 1 is expected.")
    if not (isfinite(time_budget_s) and time_budget_s > 0):
        raise InputError(f"time_budget_s={time_budget_s} was given; a positive number of seconds is expected.")
    names = tuple(dict.fromkeys(("float32", *dtypes)))
    for name in names:
        product_dtype(name)
    used = clock or PerfClock()
    started_s = used.now_s()
    with torch.inference_mode(), _threads(threads):
        points = footprints(_last_level_bytes(device), _free_bytes(device), device)
        probes = [*bandwidth_probes(points, threads, device), *product_probes(names, device, used)]
        rounds = repeat_probes(probes, started_s + time_budget_s, used, _wait(device), _burst(device))
    return _ceilings(rounds, measured_at_s, threads, device)


def repeat_probes(
    probes: list[Probe], deadline_s: float, clock: Clock, wait: Callable[[], None], burst: int = 1
) -> list[dict[Point, float]]:
    """The rate of each point in each round, the best of its candidates.

    Each probe gets an equal share of the time that is left. A round begins if one like the last would end before the
    deadline; two are always made.
    """
    rounds: list[dict[Point, float]] = []
    last_s = 0.0
    for done in range(ROUNDS):
        started_s = clock.now_s()
        if done >= LEAST_ROUNDS and started_s + last_s > deadline_s:
            break
        round_ends_s = started_s + (deadline_s - started_s) / (ROUNDS - done)
        rates: dict[Point, float] = {}
        for index, probe in enumerate(probes):
            # Half of the share is for the untimed call, and for probes of one call that takes longer.
            share_s = (round_ends_s - clock.now_s()) / (len(probes) - index) / 2
            rate = best_rate(probe, share_s, clock, wait, burst)
            rates[probe.point] = max(rate, rates.get(probe.point, 0.0))
        rounds.append(rates)
        last_s = clock.now_s() - started_s
    return rounds


def spread_of(rounds: list[dict[Point, float]]) -> float:
    """How far a typical round lies under the ceiling: the upper quartile, over points, of (ceiling − median) / ceiling.

    For reading, the ceiling is the envelope and not the point's own best. Threads that share a processor with other
    work wait for each other a scheduler's slice a call, and that so evenly that rounds agree with one another: only a
    small footprint that reads slower than a large one shows it.
    """
    best = _best(rounds)
    ceiling: dict[Point, float] = dict(best)
    for footprint, rate in envelope([(int(size), rate) for (kind, size), rate in best.items() if kind == READ]):
        ceiling[READ, int(footprint)] = rate
    spreads = [1.0 - median(rates[point] for rates in rounds) / ceiling[point] for point in best]
    return quantiles(spreads, n=4, method="inclusive")[2] if len(spreads) > 1 else spreads[0]


def envelope(curve: list[tuple[int, float]]) -> tuple[tuple[float, float], ...]:
    """The curve in which no footprint has less bandwidth than a larger one.

    What streams through 64 KiB at a rate can stream through its first half at that rate, so a smaller footprint below
    it was disturbed, or was too short for a call.

    Args: curve: (footprint_bytes, bytes_per_s) in any order.
    """
    raised: list[tuple[float, float]] = []
    for footprint, rate in sorted(curve, reverse=True):
        raised.append((float(footprint), max(rate, raised[-1][1] if raised else 0.0)))
    return tuple(reversed(raised))


def _ceilings(rounds: list[dict[Point, float]], measured_at_s: float, threads: int, device: str) -> Ceilings:
    best = _best(rounds)

    def curve(name: str) -> tuple[tuple[float, float], ...]:
        return envelope([(int(size), rate) for (kind, size), rate in best.items() if kind == name])

    return Ceilings(
        measured_at_s=measured_at_s,
        threads=threads,
        device=device,
        read_curve=curve(READ),
        copy_curve=curve(COPY),
        random_row_curve=curve(RANDOM_ROW),
        flop_per_s=with_float32_as_half(
            {str(name): rate for (kind, name), rate in best.items() if kind == PRODUCT}, device
        ),
        spread=spread_of(rounds),
    )


def _best(rounds: list[dict[Point, float]]) -> dict[Point, float]:
    return {point: max(rates[point] for rates in rounds) for point in rounds[0]}


def _last_level_bytes(device: str) -> int:
    if device == "cpu":
        return last_level_cache_bytes()
    return l2_bytes()


def _free_bytes(device: str) -> int:
    return free_memory_bytes() if device == "cpu" else int(torch.cuda.mem_get_info()[0])


def _burst(device: str) -> int:
    # A launch takes a few µs and so does 4 MiB of a GPU's L2: launches go on while the device works.
    return 1 if device == "cpu" else 64


def _wait(device: str) -> Callable[[], None]:
    return (lambda: None) if device == "cpu" else torch.cuda.synchronize


@contextmanager
def _threads(threads: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
