"""Rows of one matrix multiplied by the tokens of its group, compiled into the CPU kernels.

Rows are taken in pairs that lie half a block apart. Every pair of loads then feeds eight multiply-adds, and reading
from memory follows two long streams, each in pages of its own: of two neighbours, which share a page, a processor
follows neither, and rows came at half the rate (512 float32 a row, 256 MiB, one thread: pairs of neighbours 8 GB/s,
single rows 17, rows half a matrix apart 26, each with four tokens).
"""

from typing import Any

from capratio.kernels.compiling import compile_tile
from capratio.kernels.tiles import (
    TOKENS,
    add_four_rows,
    add_four_rows_to_two,
    add_row,
    dot_pair_with_four,
    dot_pair_with_one,
    dot_pair_with_three,
    dot_pair_with_two,
)
from capratio.kernels.widening import read_again, read_row

# Rows of a block, so that its halves are long streams; a task of a parallel kernel has one block.
BLOCK_ROWS = 256
# Pairs of rows that are multiplied by all tokens before the next are read: 2 x 32 rows of 1024 float32 are 256 KiB, in
# the second level of the cache.
PAIRS = 32
# Columns of a transposed product's task: 1024 float32 of a sum are 4 KiB, and those of 7 tokens fit the first level.
COLUMNS = 1024
# Rows of each quarter that are added to the sums of all tokens before the next are read.
QUADS = 8


@compile_tile
def multiply_rows(
    x: Any, rows: Any, buffer: Any, order: Any, begin: Any, end: Any, first: Any, out: Any, zero: Any
) -> None:
    """out[order[s], first + i] = rows[i] . x[s] for every row i and the places s in begin..end.

    x: (N, p) in sorted order. rows: (r, p), half types as bits, which are widened into buffer (r, p). out: (N, q).
    zero: of its dtype.
    """
    half = (rows.shape[0] + 1) // 2
    for top in range(0, half, PAIRS):
        bottom = min(top + PAIRS, half)
        for i in range(top, bottom):
            j = _partner(i, half, rows)
            read_row(rows[i], buffer[i])
            read_row(rows[j], buffer[j])
        for s in range(begin, end, TOKENS):
            for i in range(top, bottom):
                j = _partner(i, half, rows)
                upper, lower = read_again(rows[i], buffer[i]), read_again(rows[j], buffer[j])
                _multiply_pair(upper, lower, x, order, s, end, first + i, first + j, out, zero)


@compile_tile
def _partner(i: Any, half: Any, rows: Any) -> Any:
    # The middle one of an odd number is its own partner's neighbour: the last row is multiplied twice.
    return min(i + half, rows.shape[0] - 1)


@compile_tile
def _multiply_pair(
    upper: Any, lower: Any, x: Any, order: Any, s: Any, end: Any, i: Any, j: Any, out: Any, zero: Any
) -> None:
    """The rows i and j of the matrix with the tokens from place s on, at most four."""
    a = order[s]
    if end - s == 1:
        out[a, i], out[a, j] = dot_pair_with_one(upper, lower, x[s], zero)
        return
    b = order[s + 1]
    if end - s == 2:
        out[a, i], out[b, i], out[a, j], out[b, j] = dot_pair_with_two(upper, lower, x[s], x[s + 1], zero)
        return
    c = order[s + 2]
    if end - s == 3:
        out[a, i], out[b, i], out[c, i], out[a, j], out[b, j], out[c, j] = dot_pair_with_three(
            upper, lower, x[s], x[s + 1], x[s + 2], zero
        )
        return
    d = order[s + 3]
    out[a, i], out[b, i], out[c, i], out[d, i], out[a, j], out[b, j], out[c, j], out[d, j] = dot_pair_with_four(
        upper, lower, x[s], x[s + 1], x[s + 2], x[s + 3], zero
    )


@compile_tile
def add_columns(grad: Any, matrix: Any, first: Any, last: Any, buffer: Any, sums: Any) -> None:
    """sums[s] += matrix[:, first:last]^T grad[s] for every s.

    grad: (n, q). matrix: (q, p), half types as bits, which are widened into buffer (4 QUADS, last - first). sums: (n,
    last - first).
    """
    quarter = matrix.shape[0] // 4
    for top in range(0, quarter, QUADS):
        bottom = min(top + QUADS, quarter)
        for i in range(top, bottom):
            for k in range(4):
                read_row(matrix[i + k * quarter, first:last], buffer[4 * (i - top) + k])
        for s in range(0, grad.shape[0] - 1, 2):
            for i in range(top, bottom):
                r0, r1, r2, r3 = _four_rows(matrix, i, quarter, first, last, buffer[4 * (i - top) :])
                add_four_rows_to_two(sums[s], sums[s + 1], grad[s, i::quarter], grad[s + 1, i::quarter], r0, r1, r2, r3)
        if grad.shape[0] % 2:
            s = grad.shape[0] - 1
            for i in range(top, bottom):
                r0, r1, r2, r3 = _four_rows(matrix, i, quarter, first, last, buffer[4 * (i - top) :])
                g = grad[s, i::quarter]
                add_four_rows(sums[s], g[0], r0, g[1], r1, g[2], r2, g[3], r3)
    for i in range(4 * quarter, matrix.shape[0]):
        row = read_row(matrix[i, first:last], buffer[0])
        for s in range(grad.shape[0]):
            add_row(sums[s], grad[s, i], row)


@compile_tile
def _four_rows(matrix: Any, i: Any, step: Any, first: Any, last: Any, buffer: Any) -> Any:
    return (
        read_again(matrix[i, first:last], buffer[0]),
        read_again(matrix[i + step, first:last], buffer[1]),
        read_again(matrix[i + 2 * step, first:last], buffer[2]),
        read_again(matrix[i + 3 * step, first:last], buffer[3]),
    )
