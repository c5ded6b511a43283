"""Candidates for the bandwidth of a machine: reading, copying and fetching random rows, by footprint.

A read candidate reads every byte of its footprint and does the least beside it. Small footprints are read many times
within one call, by a sum over an expanded view, since a call of torch takes longer than reading a cache's worth.
"""

from collections.abc import Iterator
from itertools import cycle

import torch

from capratio.measure.probe import Probe

READ, COPY, RANDOM_ROW = "read", "copy", "random row"

SMALLEST_BYTES = 16 * 2**10
# Also where the caches are small, the last point must be memory beyond doubt. On an H200, 240 MiB read at 3.9 TB/s, for
# that takes 60 µs of which the device is full for most, and 1 GiB at 4.3.
LEAST_LARGEST_BYTES = {"cpu": 256 * 2**20, "cuda": 2**30}
# A call reads at least this much, so that its own time (some µs) is a tenth of it even at the rate of a first cache.
LEAST_BYTES_A_CALL = {"cpu": 4 * 2**20, "cuda": 256 * 2**20}
# A row of 512 float32: the q-vector of the middle of the published sizes.
ROW_ELEMENTS = 512
# Rows that are summed into one, so that writing is 1/64 of reading.
ROWS_A_BAG = 64
_ITEM_BYTES = 4


def footprints(last_level_cache_bytes: int, free_bytes: int, device: str = "cpu") -> tuple[int, ...]:
    """Powers of 2 from 16 KiB to four times the last cache level, within a quarter of free memory.

    The last is at least 256 MiB on the CPU, and 1 GiB on CUDA.
    """
    largest = max(4 * last_level_cache_bytes, LEAST_LARGEST_BYTES[device])
    points = [SMALLEST_BYTES]
    while points[-1] < largest and 8 * points[-1] <= free_bytes:
        points.append(2 * points[-1])
    return tuple(points)


def bandwidth_probes(points: tuple[int, ...], threads: int, device: str) -> Iterator[Probe]:
    """All candidates for all footprints, over one buffer that is made and touched here.

    Args: points: footprints in bytes, rising. threads: that share the reading. device: ``cpu`` or ``cuda``.
    """
    buffer = torch.ones(points[-1] // _ITEM_BYTES, device=device)
    generator = torch.Generator().manual_seed(0)
    for footprint in points:
        yield from _read(buffer[: footprint // _ITEM_BYTES], footprint, threads, LEAST_BYTES_A_CALL[device])
    # Every second footprint, counted from memory's: these two curves are shown, and no limit is read from them.
    for footprint in points[::-2][::-1]:
        elements = buffer[: footprint // _ITEM_BYTES]
        yield _copy(elements, footprint)
        yield _random_rows(elements, footprint, generator, LEAST_BYTES_A_CALL[device])


def _read(elements: torch.Tensor, footprint: int, threads: int, least_bytes: int) -> Iterator[Probe]:
    repeats = max(least_bytes // footprint, 1)
    share = len(elements) // threads
    # (threads, repeats, share): each thread reads its own part again and again, as it would one call after the other.
    repeated = elements[: share * threads].view(threads, 1, share).expand(threads, repeats, share)
    amount = float(repeats * share * threads * _ITEM_BYTES)
    yield Probe((READ, footprint), amount, lambda: repeated.sum(-1))
    yield Probe((READ, footprint), amount, lambda: repeated.amax(-1))
    if repeats == 1:
        yield Probe((READ, footprint), footprint, lambda: torch.dot(elements, elements))


def _copy(elements: torch.Tensor, footprint: int) -> Probe:
    """Half of the footprint is read and half written; both count."""
    source, target = elements.chunk(2)
    return Probe((COPY, footprint), footprint, lambda: target.copy_(source))


def _random_rows(elements: torch.Tensor, footprint: int, generator: torch.Generator, least_bytes: int) -> Probe:
    """Rows in random order (all of them before one comes again), summed in bags; the bytes of rows count."""
    table = elements.view(-1, ROW_ELEMENTS)
    rows = least_bytes // (ROW_ELEMENTS * _ITEM_BYTES)
    repeats = max(rows // len(table), 1)
    order = torch.cat([torch.randperm(len(table), generator=generator) for _ in range(repeats)])
    # A call fetches one part and the next call the next one, so that what is fetched was not fetched just before.
    parts = cycle(order.to(elements.device).split(rows))  # type: ignore[no-untyped-call]
    starts = torch.arange(0, rows, ROWS_A_BAG, device=elements.device)

    def fetch() -> torch.Tensor:
        return torch.nn.functional.embedding_bag(next(parts), table, starts, mode="sum")

    return Probe((RANDOM_ROW, footprint), float(rows * ROW_ELEMENTS * _ITEM_BYTES), fetch)
