"""The compiled kernels of groups with few tokens: each visited matrix is read once, in the order of memory.

A task is a block of rows of one group's matrix; tasks run on all of torch's threads, and no two write the same place,
so that sums do not depend on the threads.
"""

from typing import Any

import numpy as np
from numba import prange

from capratio.kernels.compiling import compile_parallel, compile_tile
from capratio.kernels.tile_products import multiply_rows
from capratio.kernels.tiles import COLUMNS, ROWS, add_four_rows, add_row, add_rows
from capratio.kernels.widening import read_again, read_row


@compile_parallel
def multiply(x: Any, weight: Any, order: Any, keys: Any, begins: Any, ends: Any, out: Any) -> None:
    """out[order[s]] = weight[keys[g]] x[s] for the places s of group g, begins[g]..ends[g].

    x: (N, p) in sorted order. weight: (R, q, p), half types as bits. out: (N, q), in the tokens' order.
    """
    features, wide = weight.shape[1], weight.shape[2]
    blocks = (features + ROWS - 1) // ROWS
    for task in prange(keys.shape[0] * blocks):
        group, block = task // blocks, task % blocks
        buffer = np.empty((ROWS, wide), out.dtype)
        first = block * ROWS
        last = min(first + ROWS, features)
        rows = weight[keys[group]][first:last]
        multiply_rows(x, rows, buffer, order, begins[group], ends[group], first, out, out.dtype.type(0))


@compile_parallel
def multiply_transposed(grad: Any, weight: Any, order: Any, keys: Any, begins: Any, ends: Any, out: Any) -> None:
    """out[order[s]] = weight[keys[g]]^T grad[s] for the places s of group g, begins[g]..ends[g].

    grad: (N, q) in sorted order. weight: (R, q, p), half types as bits. out: (N, p), in the tokens' order.
    """
    wide = weight.shape[2]
    blocks = (wide + COLUMNS - 1) // COLUMNS
    for task in prange(keys.shape[0] * blocks):
        group, block = task // blocks, task % blocks
        buffer = np.empty((ROWS, COLUMNS), out.dtype)
        sums = np.empty((ends[group] - begins[group], COLUMNS), out.dtype)
        first = block * COLUMNS
        last = min(first + COLUMNS, wide)
        sums[:] = 0
        _multiply_columns(
            grad, weight[keys[group]], begins[group], ends[group], first, last, buffer[:, : last - first], sums
        )
        for s in range(begins[group], ends[group]):
            out[order[s], first:last] = sums[s - begins[group], : last - first]


@compile_tile
def _multiply_columns(
    grad: Any, matrix: Any, begin: Any, end: Any, first: Any, last: Any, buffer: Any, sums: Any
) -> None:
    for top in range(0, matrix.shape[0], ROWS):
        bottom = min(top + ROWS, matrix.shape[0])
        for i in range(top, bottom):
            add_row(sums[0], grad[begin, i], read_row(matrix[i, first:last], buffer[i - top]))
        for s in range(begin + 1, end):
            total = sums[s - begin]
            i = top
            while i + 4 <= bottom:
                add_four_rows(
                    total,
                    grad[s, i],
                    read_again(matrix[i, first:last], buffer[i - top]),
                    grad[s, i + 1],
                    read_again(matrix[i + 1, first:last], buffer[i + 1 - top]),
                    grad[s, i + 2],
                    read_again(matrix[i + 2, first:last], buffer[i + 2 - top]),
                    grad[s, i + 3],
                    read_again(matrix[i + 3, first:last], buffer[i + 3 - top]),
                )
                i += 4
            while i < bottom:
                add_row(total, grad[s, i], read_again(matrix[i, first:last], buffer[i - top]))
                i += 1


@compile_parallel
def multiply_outer(grad: Any, x: Any, begins: Any, ends: Any, rows: Any, out: Any) -> None:
    """out[r] = the sum of grad[s] x[s]^T over the places s of r, begins[r]..ends[r]; zero where it has none.

    grad: (N, q), x: (N, p), in sorted order. rows: (M,), the rows r of out (R, q, p) that are written.
    """
    features = grad.shape[1]
    blocks = (features + ROWS - 1) // ROWS
    for task in prange(rows.shape[0] * blocks):
        place, first = task // blocks, (task % blocks) * ROWS
        begin, end = begins[place], ends[place]
        for i in range(first, min(first + ROWS, features)):
            total = out[rows[place], i]
            # A row of zeros stays in the first level of the cache until the sums are added.
            total[:] = 0
            add_rows(total, grad[begin:end, i], x[begin:end])
