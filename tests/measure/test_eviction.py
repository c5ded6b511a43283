"""An evictor reads four times the last cache level, from memory that is really there."""

import pytest
import torch

from capratio.errors import InputError
from capratio.measure.eviction import CacheEvictor
from capratio.measure.flop_counter import count_operations
from capratio.measure.memory import measure_memory

MEBIBYTE = 2**20


def test_a_call_reads_four_times_the_cache_and_allocates_nothing_of_that_size() -> None:
    evict = CacheEvictor(3 * MEBIBYTE)

    counted = count_operations(evict, strict=True).cost
    memory = measure_memory(evict)

    assert 12 * MEBIBYTE == evict.buffer_bytes == counted.read_bytes
    assert memory.allocated_peak_bytes is not None
    assert memory.allocated_peak_bytes < 1024


def test_the_buffer_is_in_memory_of_its_own() -> None:
    """Pages that were never written would all be one page of zeros."""
    # Larger than what the allocator may keep of memory that was freed before.
    resident = measure_memory(lambda: CacheEvictor(16 * MEBIBYTE)).resident_peak_bytes

    assert resident is None or resident > 60 * MEBIBYTE


def test_the_buffer_has_no_zero() -> None:
    assert bool(torch.all(CacheEvictor(64)._buffer != 0))


@pytest.mark.parametrize("size", [0, -1])
def test_a_cache_without_a_byte_is_refused(size: int) -> None:
    with pytest.raises(InputError, match=f"last_level_cache_bytes={size}"):
        CacheEvictor(size)
