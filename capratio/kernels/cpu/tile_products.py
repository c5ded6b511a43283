"""Rows of one matrix multiplied by the tokens of its group, compiled into the CPU kernels.

Few tokens, up to eight with AVX-512, are multiplied with rows in pairs that lie half a block apart. Reading from memory
then follows two long streams, each in pages of its own: of two neighbours, which share a page, a processor follows
neither, and rows came at half the rate (512 float32 a row, 256 MiB, one thread: pairs of neighbours 8 GB/s, single rows
17, rows half a matrix apart 26, each with four tokens). More tokens are multiplied in panels, by tiles of rows that a
cache holds, and those that are left over in pairs again.
"""

from typing import Any

import numpy as np

from capratio.kernels.cpu.compiling import compile_kernel, compile_tile
from capratio.kernels.cpu.dot_products import MOST_TOKENS, dot_eight, dot_five, dot_four, dot_seven, dot_six, dot_three
from capratio.kernels.cpu.panel_product import (
    NARROW,
    NARROW_ROWS,
    WIDE,
    WIDE_ROWS,
    multiply_narrow_panel,
    multiply_wide_panel,
    pack_panel,
)
from capratio.kernels.cpu.tiles import (
    dot_pair_with_one,
    dot_pair_with_two,
)
from capratio.kernels.cpu.widening import read_again, read_row, widen_rows, widening_buffer

# Rows of a block, so that its halves are long streams; a task of a parallel kernel has one block.
BLOCK_ROWS = 512
# Pairs of rows that are multiplied by all tokens before the next are read: 2 x 32 rows of 1024 float32 are 256 KiB, in
# the second level of the cache.
PAIRS = 32
# So many tokens are worth a panel whose other lanes are empty.
FEWEST_IN_NARROW = max(MOST_TOKENS + 1, 6)
FEWEST_IN_WIDE = NARROW + FEWEST_IN_NARROW
# Rows that are multiplied by all panels before the next are read, whole sets of them: 96 rows of 1024 float32 are 384
# KiB, in the second level of the cache.
TILE_ROWS = 8 * WIDE_ROWS
# Tokens whose panels are packed at a time: 64 tokens of 1024 float32 are 256 KiB, in the second level of the cache.
PACKED = 64


@compile_kernel
def multiply_rows(x: Any, rows: Any, tokens: Any, first: int, out: Any) -> None:
    """out[tokens[t], first + i] = rows[i] . x[tokens[t]] for every row i and token t.

    x: (N, p). rows: (r, p), half types as bits. tokens: (n,). out: (N, q).
    """
    if tokens.shape[0] < FEWEST_IN_NARROW or rows.shape[0] < NARROW_ROWS:
        multiply_pairs(x, rows, tokens, first, out)
    else:
        for begin in range(0, tokens.shape[0], PACKED):
            _multiply_panels(x, rows, tokens[begin : begin + PACKED], first, out)


@compile_kernel
def _multiply_panels(x: Any, rows: Any, tokens: Any, first: int, out: Any) -> None:
    """As multiply_rows, of up to ``PACKED`` tokens and at least ``NARROW_ROWS`` rows."""
    count, width = tokens.shape[0], x.shape[1]
    wide = (count + WIDE - FEWEST_IN_WIDE) // WIDE
    left = tokens[min(wide * WIDE, count) :]
    narrow = (left.shape[0] + NARROW - FEWEST_IN_NARROW) // NARROW
    left_over = left[min(narrow * NARROW, left.shape[0]) :]
    wide_panels = np.empty((wide, width, WIDE), out.dtype)
    narrow_panels = np.empty((narrow, width, NARROW), out.dtype)
    for panel in range(wide):
        pack_panel(x, tokens[panel * WIDE : (panel + 1) * WIDE], wide_panels[panel])
    for panel in range(narrow):
        pack_panel(x, left[panel * NARROW : (panel + 1) * NARROW], narrow_panels[panel])
    wide_sums = np.empty((WIDE_ROWS, WIDE), out.dtype)
    narrow_sums = np.empty((NARROW_ROWS, NARROW), out.dtype)
    buffer = widening_buffer(rows, TILE_ROWS, out)
    for top in range(0, rows.shape[0], TILE_ROWS):
        bottom = min(top + TILE_ROWS, rows.shape[0])
        # A tile of too few rows takes some of the one above, whose products are the same again.
        top = min(top, bottom - NARROW_ROWS)
        tile = widen_rows(rows[top:bottom], buffer)
        for panel in range(wide):
            members = tokens[panel * WIDE : (panel + 1) * WIDE]
            for i in range(0, tile.shape[0], WIDE_ROWS):
                i = min(i, tile.shape[0] - WIDE_ROWS)
                multiply_wide_panel(tile, i, wide_panels[panel], wide_sums, panel == 0)
                _put_sums(wide_sums, members, first + top + i, out)
        for panel in range(narrow):
            members = left[panel * NARROW : (panel + 1) * NARROW]
            for i in range(0, tile.shape[0], NARROW_ROWS):
                i = min(i, tile.shape[0] - NARROW_ROWS)
                multiply_narrow_panel(tile, i, narrow_panels[panel], narrow_sums, wide + panel == 0)
                _put_sums(narrow_sums, members, first + top + i, out)
        multiply_pairs(x, tile, left_over, first + top, out)


@compile_tile
def _put_sums(sums: Any, tokens: Any, first: Any, out: Any) -> None:
    """out[tokens[t], first + r] = sums[r, t] for every row r of the sums and token t."""
    for t in range(tokens.shape[0]):
        row = out[tokens[t], first : first + sums.shape[0]]
        for r in range(sums.shape[0]):
            row[r] = sums[r, t]


@compile_kernel
def multiply_pairs(x: Any, rows: Any, tokens: Any, first: int, out: Any) -> None:
    """As multiply_rows, by dot products of four tokens and two rows at a time."""
    buffer = widening_buffer(rows, 2 * PAIRS, out)
    zero = out.dtype.type(0)
    half = (rows.shape[0] + 1) // 2
    for top in range(0, half, PAIRS):
        bottom = min(top + PAIRS, half)
        for i in range(top, bottom):
            read_row(rows[i], buffer[2 * (i - top)])
            read_row(rows[_partner(i, half, rows)], buffer[2 * (i - top) + 1])
        s = 0
        while s < tokens.shape[0]:
            left = tokens.shape[0] - s
            at_once = min(left, MOST_TOKENS)
            for i in range(top, bottom):
                j = _partner(i, half, rows)
                upper = read_again(rows[i], buffer[2 * (i - top)])
                lower = read_again(rows[j], buffer[2 * (i - top) + 1])
                _multiply_pair(upper, lower, x, tokens[s : s + at_once], first + i, first + j, out, zero)
            s += at_once


@compile_tile
def _partner(i: Any, half: Any, rows: Any) -> Any:
    # The last row of an odd number has a partner twice.
    return min(i + half, rows.shape[0] - 1)


@compile_tile
def _multiply_pair(upper: Any, lower: Any, x: Any, tokens: Any, i: Any, j: Any, out: Any, zero: Any) -> None:
    """The rows i and j of the matrix with the tokens, at most eight."""
    count = tokens.shape[0]
    if count == 1:
        out[tokens[0], i], out[tokens[0], j] = dot_pair_with_one(upper, lower, x[tokens[0]], zero)
    elif count == 2:
        a, b = tokens[0], tokens[1]
        out[a, i], out[b, i], out[a, j], out[b, j] = dot_pair_with_two(upper, lower, x[a], x[b], zero)
    elif count == 3:
        dot_three(upper, lower, x, tokens, out, i, j)
    elif count == 4:
        dot_four(upper, lower, x, tokens, out, i, j)
    elif count == 5:
        dot_five(upper, lower, x, tokens, out, i, j)
    elif count == 6:
        dot_six(upper, lower, x, tokens, out, i, j)
    elif count == 7:
        dot_seven(upper, lower, x, tokens, out, i, j)
    else:
        dot_eight(upper, lower, x, tokens, out, i, j)
