"""New tables are as torch makes them, large or small, and the kernel is advised of whole pages inside of them."""

import mmap

import pytest
import torch

from capratio.kernels.cpu import huge_pages
from capratio.kernels.cpu.huge_pages import CLEARED_FROM_BYTES, LEAST_BYTES, new_table, new_zeros


@pytest.mark.parametrize("rows", [0, 3, LEAST_BYTES // 8])
def test_a_table_is_contiguous_and_of_the_dtype_that_is_asked_for(rows: int) -> None:
    table = new_table(torch.empty(1, dtype=torch.float64), rows, 1, dtype=torch.float32)

    assert ((rows, 1), torch.float32, True) == (tuple(table.shape), table.dtype, table.is_contiguous())
    assert torch.float64 == new_table(torch.empty(1, dtype=torch.float64), 2).dtype


@pytest.mark.parametrize("bytes_more", [0, 4, 4096])
def test_advice_stays_within_the_table(bytes_more: int, monkeypatch: pytest.MonkeyPatch) -> None:
    advised: list[tuple[int, int, int]] = []
    monkeypatch.setattr(huge_pages, "_madvise", lambda *given: advised.append(given))

    table = new_table(torch.empty(1, dtype=torch.uint8), LEAST_BYTES + bytes_more)

    ((start, length, advice),) = advised
    assert table.data_ptr() <= start
    assert start + length <= table.data_ptr() + table.nbytes
    assert (0, 0) == (start % mmap.PAGESIZE, length % mmap.PAGESIZE)
    assert mmap.MADV_HUGEPAGE == advice


def test_only_a_table_from_the_least_size_on_is_advised(monkeypatch: pytest.MonkeyPatch) -> None:
    advised: list[tuple[int, int, int]] = []
    monkeypatch.setattr(huge_pages, "_madvise", lambda *given: advised.append(given))

    new_table(torch.empty(1, dtype=torch.uint8), LEAST_BYTES - 1)
    small = len(advised)
    new_table(torch.empty(1, dtype=torch.uint8), LEAST_BYTES)

    assert (0, 1) == (small, len(advised))


@pytest.mark.parametrize("bytes_more", [0, 8, 4096, 5000])
@pytest.mark.parametrize("answer", ["taken", "refused"])
def test_zeros_are_zeros_whatever_the_memory_held(
    answer: str, bytes_more: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huge_pages, "CLEARED_FROM_BYTES", LEAST_BYTES)
    held = torch.full(((LEAST_BYTES + bytes_more) // 8,), 7.0, dtype=torch.float64)
    monkeypatch.setattr(huge_pages, "new_table", lambda like, *shape, dtype: held)
    if answer == "refused":
        monkeypatch.setattr(huge_pages, "_madvise", lambda start, length, advice: -1)

    assert not new_zeros(held, len(held)).any()


def test_pages_of_small_zeros_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    advised: list[int] = []
    # What an append gives is None, as what a call that was taken gives is 0.
    monkeypatch.setattr(huge_pages, "_madvise", lambda start, length, advice: advised.append(advice))

    small = new_zeros(torch.empty(1, dtype=torch.uint8), CLEARED_FROM_BYTES - 1)
    new_zeros(torch.empty(1, dtype=torch.uint8), CLEARED_FROM_BYTES)

    assert not small.any()
    assert [mmap.MADV_HUGEPAGE, mmap.MADV_HUGEPAGE, mmap.MADV_DONTNEED] == advised
