"""A tile of rows multiplied by the tokens of one group, compiled into the CPU kernels."""

from typing import Any

from capratio.kernels.compiling import compile_tile
from capratio.kernels.tiles import TOKENS, dot_four, dot_one, dot_pair_of_rows, dot_three, dot_two
from capratio.kernels.widening import read_again, read_row


@compile_tile
def multiply_rows(
    x: Any, rows: Any, buffer: Any, order: Any, begin: Any, end: Any, first: Any, out: Any, zero: Any
) -> None:
    """out[order[s], first + i] = rows[i] . x[s] for every row i and the places s in begin..end.

    x: (N, p) in sorted order. rows: (r, p), half types as bits, which are widened into buffer (at least r, p). out:
    (N, q). zero: of its dtype.
    """
    head = (end - begin) % TOKENS
    if head == 0:
        head = TOKENS
    for i in range(rows.shape[0]):
        row = read_row(rows[i], buffer[i])
        if head == 1:
            out[order[begin], first + i] = dot_one(row, x[begin], zero)
        elif head == 2:
            s0, s1 = dot_two(row, x[begin], x[begin + 1], zero)
            out[order[begin], first + i] = s0
            out[order[begin + 1], first + i] = s1
        elif head == 3:
            s0, s1, s2 = dot_three(row, x[begin], x[begin + 1], x[begin + 2], zero)
            out[order[begin], first + i] = s0
            out[order[begin + 1], first + i] = s1
            out[order[begin + 2], first + i] = s2
        else:
            _four_tokens(row, x, order, begin, first + i, out, zero)
    for s in range(begin + head, end, TOKENS):
        for i in range(0, rows.shape[0] - 1, 2):
            _pair_of_rows(
                read_again(rows[i], buffer[i]),
                read_again(rows[i + 1], buffer[i + 1]),
                x,
                order,
                s,
                first + i,
                out,
                zero,
            )
        if rows.shape[0] % 2:
            last = rows.shape[0] - 1
            _four_tokens(read_again(rows[last], buffer[last]), x, order, s, first + last, out, zero)


@compile_tile
def _four_tokens(row: Any, x: Any, order: Any, s: Any, i: Any, out: Any, zero: Any) -> None:
    s0, s1, s2, s3 = dot_four(row, x[s], x[s + 1], x[s + 2], x[s + 3], zero)
    out[order[s], i] = s0
    out[order[s + 1], i] = s1
    out[order[s + 2], i] = s2
    out[order[s + 3], i] = s3


@compile_tile
def _pair_of_rows(upper: Any, lower: Any, x: Any, order: Any, s: Any, i: Any, out: Any, zero: Any) -> None:
    s0, s1, s2, s3, t0, t1, t2, t3 = dot_pair_of_rows(upper, lower, x[s], x[s + 1], x[s + 2], x[s + 3], zero)
    out[order[s], i] = s0
    out[order[s], i + 1] = t0
    out[order[s + 1], i] = s1
    out[order[s + 1], i + 1] = t1
    out[order[s + 2], i] = s2
    out[order[s + 2], i + 1] = t2
    out[order[s + 3], i] = s3
    out[order[s + 3], i + 1] = t3
