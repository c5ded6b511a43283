"""The columns of one matrix multiplied by the tokens of its group, the transposed product, compiled for the CPU."""

from typing import Any

from capratio.kernels.cpu.compiling import compile_tile
from capratio.kernels.cpu.tiles import add_four_rows, add_four_rows_to_two, add_row
from capratio.kernels.cpu.widening import read_again, read_row

# Columns of a task: 1024 float32 of a sum are 4 KiB, and those of 7 tokens fit the first level of the cache.
COLUMNS = 1024
# Rows of each quarter that are added to the sums of all tokens before the next are read.
QUADS = 8


@compile_tile
def add_columns(grad: Any, tokens: Any, matrix: Any, first: Any, last: Any, buffer: Any, sums: Any) -> None:
    """sums[t] += matrix[:, first:last]^T grad[tokens[t]] for every t.

    grad: (N, q). tokens: (n,). matrix: (q, p), half types as bits, which are widened into buffer (4 QUADS, last -
    first). sums: (n, last - first). Rows are taken in fours that lie a quarter of the matrix apart.
    """
    quarter = matrix.shape[0] // 4
    for top in range(0, quarter, QUADS):
        bottom = min(top + QUADS, quarter)
        for i in range(top, bottom):
            for k in range(4):
                read_row(matrix[i + k * quarter, first:last], buffer[4 * (i - top) + k])
        for t in range(0, tokens.shape[0] - 1, 2):
            one, two = grad[tokens[t]], grad[tokens[t + 1]]
            for i in range(top, bottom):
                r0, r1, r2, r3 = _four_rows(matrix, i, quarter, first, last, buffer[4 * (i - top) :])
                add_four_rows_to_two(sums[t], sums[t + 1], one[i::quarter], two[i::quarter], r0, r1, r2, r3)
        if tokens.shape[0] % 2:
            t = tokens.shape[0] - 1
            for i in range(top, bottom):
                r0, r1, r2, r3 = _four_rows(matrix, i, quarter, first, last, buffer[4 * (i - top) :])
                g = grad[tokens[t], i::quarter]
                add_four_rows(sums[t], g[0], r0, g[1], r1, g[2], r2, g[3], r3)
    for i in range(4 * quarter, matrix.shape[0]):
        row = read_row(matrix[i, first:last], buffer[0])
        for t in range(tokens.shape[0]):
            add_row(sums[t], grad[tokens[t], i], row)


@compile_tile
def _four_rows(matrix: Any, i: Any, step: Any, first: Any, last: Any, buffer: Any) -> Any:
    return (
        read_again(matrix[i, first:last], buffer[0]),
        read_again(matrix[i + step, first:last], buffer[1]),
        read_again(matrix[i + 2 * step, first:last], buffer[2]),
        read_again(matrix[i + 3 * step, first:last], buffer[3]),
    )
