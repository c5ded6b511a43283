"""Tensor descriptors of a table of matrices, by which Hopper's copy engine loads their blocks; as Triton takes them."""

from typing import Any, NamedTuple

import torch
import triton.language as tl
from triton.runtime.driver import driver
from triton.tools.tensor_descriptor import TensorDescriptor

from capratio.kernels.backends import interprets_triton

# How a table lies in the memory that a descriptor sees, as rows of one matrix below the other.
PLAIN, TRANSPOSED = tl.constexpr(1), tl.constexpr(2)
# What the copy engine asks of addresses and of the bytes from row to row.
_ALIGNED_BYTES = 16
_HOPPER = 90


class Described(NamedTuple):
    """A descriptor, or None, and its layout."""

    descriptor: Any
    layout: Any


NOT_DESCRIBED = Described(None, None)


def describe(matrices: torch.Tensor, outputs: int, inputs: int) -> Described | None:
    """The descriptor of matrices (R, o, i), or of those that they are the transposes of, for blocks (outputs, inputs).

    None where the device has no copy engine, or the memory is not as it asks: contiguous and aligned.
    """
    layout, stored, block = PLAIN, matrices, [outputs, inputs]
    if not stored.is_contiguous():
        layout, stored, block = TRANSPOSED, matrices.transpose(1, 2), [inputs, outputs]
    rows, width = stored.shape[0] * stored.shape[1], stored.shape[2]
    aligned = stored.data_ptr() % _ALIGNED_BYTES == 0 and width * stored.itemsize % _ALIGNED_BYTES == 0
    if not (stored.is_contiguous() and aligned and rows <= torch.iinfo(torch.int32).max and _has_copy_engine()):
        return None
    return Described(TensorDescriptor(stored, [rows, width], [width, 1], block), layout)


def _has_copy_engine() -> bool:
    return interprets_triton() or int(driver.active.get_current_target().arch) >= _HOPPER
