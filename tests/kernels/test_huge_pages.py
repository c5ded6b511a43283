"""New tables are as torch makes them, large or small, and the kernel is advised of whole pages inside of them."""

import mmap

import pytest
import torch

from capratio.kernels.cpu import huge_pages
from capratio.kernels.cpu.huge_pages import LEAST_BYTES, new_table


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
