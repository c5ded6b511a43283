"""Indices held against the table that they point into, since compiled kernels read whatever lies there."""

from typing import Any

from capratio.errors import InputError
from capratio.kernels.compiling import compile_kernel


def check_rows(index: Any, rows: int) -> None:
    """Raise InputError where an index of a numpy array, of any shape, is not a row of the table."""
    wrong = _first_outside(index.reshape(-1), rows)
    if wrong is not None:
        raise InputError(f"the index {wrong} was given into a table of {rows} rows; give indices from 0 to {rows - 1}.")


@compile_kernel
def _first_outside(index: Any, rows: int) -> Any:
    for place in range(index.shape[0]):
        if index[place] < 0 or index[place] >= rows:
            return index[place]
    return None
