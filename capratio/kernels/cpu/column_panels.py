"""Products whose sums run along columns, of many rows at a time: the transposed product and the gradient to a matrix.

Here the lanes of a panel (see ``panel_product``) are columns of the right side, which lie side by side as they are, so
that a panel is a copy, half types widened on the way, and sums are stored a row at a time.
"""

from typing import Any

import numpy as np

from capratio.kernels.cpu.compiling import compile_kernel, compile_tile
from capratio.kernels.cpu.panel_product import WIDE, WIDE_ROWS, multiply_wide_panel
from capratio.kernels.cpu.tiles import copy_row
from capratio.kernels.cpu.widening import read_row

# Rows of the left side, rows of the right side, and panels that are kept at a time: 192 x 496 float32 are 372 KiB and 4
# panels of 496 x 32 are 248 KiB, both in the second level of the cache. Columns of the left side are written a row
# apart, and rows of 512 float32, a power of two, would all fall into a few sets of the first level.
LEFT_ROWS, RIGHT_ROWS, PANELS = 16 * WIDE_ROWS, 496, 4


@compile_kernel
def multiply_columns(grad: Any, tokens: Any, matrix: Any, first: int, last: int, out: Any) -> None:
    """out[tokens[t], first:last] = matrix[:, first:last]^T grad[tokens[t]] for every t.

    grad: (N, q). tokens: (n,), at least ``WIDE_ROWS``. matrix: (q, p), half types as bits. out: (N, p).
    """
    count = tokens.shape[0]
    for start in range(0, count, LEFT_ROWS):
        # Of fewer tokens than a set has rows, some are computed again.
        members = tokens[min(start, count - WIDE_ROWS) : start + LEFT_ROWS]
        for top in range(0, matrix.shape[0], RIGHT_ROWS):
            rows = matrix[top : top + RIGHT_ROWS]
            left = np.empty((members.shape[0], rows.shape[0]), out.dtype)
            for t in range(members.shape[0]):
                copy_row(left[t], grad[members[t], top : top + rows.shape[0]])
            _multiply_panels(left, rows, first, last, members, top > 0, out)


@compile_kernel
def sum_outer_rows(grad: Any, x: Any, first: int, last: int, out: Any) -> None:
    """out[i] = the sum of grad[s, i] x[s] over all s, for the rows i in first..last, at least ``WIDE_ROWS``.

    grad: (n, q). x: (n, p). out: (q, p).
    """
    places = np.arange(first, last)
    for top in range(0, x.shape[0], RIGHT_ROWS):
        tokens = x[top : top + RIGHT_ROWS]
        left = np.empty((last - first, tokens.shape[0]), out.dtype)
        for s in range(tokens.shape[0]):
            copy_row(left[:, s], grad[top + s, first:last])
        _multiply_panels(left, tokens, 0, x.shape[1], places, top > 0, out)


@compile_kernel
def _multiply_panels(left: Any, right: Any, first: int, last: int, places: Any, add: bool, out: Any) -> None:
    """out[places[r], first:last] = left[r] . right[:, first:last] for every r, or added to what is there.

    left: (n, d), n at least ``WIDE_ROWS``. right: (d, p). places: (n,), ascending.
    """
    panels = np.empty((PANELS, right.shape[0], WIDE), out.dtype)
    sums = np.empty((WIDE_ROWS, WIDE), out.dtype)
    buffer = np.empty(PANELS * WIDE, out.dtype)
    side_by_side = places[-1] - places[0] == left.shape[0] - 1
    for start in range(first, last, PANELS * WIDE):
        end = min(start + PANELS * WIDE, last)
        _pack_columns(right[:, start:end], buffer[: end - start], panels)
        for column in range(start, end, WIDE):
            panel = panels[(column - start) // WIDE]
            for top in range(0, left.shape[0], WIDE_ROWS):
                r = min(top, left.shape[0] - WIDE_ROWS)
                if side_by_side and not add and column + WIDE <= end:
                    place = places[r]
                    multiply_wide_panel(left, r, panel, out[place : place + WIDE_ROWS, column : column + WIDE], 0)
                    continue
                multiply_wide_panel(left, r, panel, sums, 0)
                for i in range(top - r, WIDE_ROWS):
                    _put_row(out[places[r + i], column : min(column + WIDE, end)], sums[i], add)


@compile_tile
def _pack_columns(rows: Any, buffer: Any, panels: Any) -> None:
    """panels[c, j] = the c-th set of columns of row j, and zeros in the lanes beyond the columns: (d, w)."""
    width, lanes = rows.shape[1], panels.shape[2]
    for j in range(rows.shape[0]):
        row = read_row(rows[j], buffer)
        for column in range(0, width, lanes):
            target = panels[column // lanes, j]
            copy_row(target, row[column : column + lanes])
            for lane in range(width - column, lanes):
                target[lane] = 0


@compile_tile
def _put_row(target: Any, sums: Any, add: Any) -> None:
    """target = sums, or target += sums, of as many as the target has."""
    for j in range(target.shape[0]):
        target[j] = sums[j] + (target[j] if add else target.dtype.type(0))
