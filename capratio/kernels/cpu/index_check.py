"""Indices held against the table that they point into, since compiled kernels read whatever lies there."""

from typing import Any

from capratio.errors import InputError
from capratio.kernels.cpu.compiling import compile_kernel


def check_rows(index: Any, rows: int) -> None:
    """Raise InputError where an index of a numpy array, of any shape, is not a row of the table."""
    flat = index.reshape(-1)
    place = first_outside(flat, rows)
    if place >= 0:
        raise outside(flat[place], rows)


def outside(index: int, rows: int) -> InputError:
    """What to do about an index that is not a row of the table."""
    return InputError(f"the index {index} was given into a table of {rows} rows; give indices from 0 to {rows - 1}.")


@compile_kernel
def first_outside(index: Any, rows: int) -> int:
    """The place of the first index (n,) that is not a row of the table, or -1."""
    for place in range(index.shape[0]):
        if index[place] < 0 or index[place] >= rows:
            return place
    return -1
