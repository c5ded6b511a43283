"""block_linear compiled for a batch whose tokens share their masks: one product of the live rows and columns, gathered."""

from typing import Any

import numpy as np
from numba import prange

from capratio.kernels.block_linear.live_lists import gather_live, live_lists, padded_width
from capratio.kernels.cpu.compiling import compile_kernel, compile_parallel
from capratio.kernels.cpu.tile_products import TILE_ROWS, multiply_rows
from capratio.kernels.cpu.tiles import add_to, copy_row
from capratio.kernels.cpu.widening import read_row

# Tokens of a task, and its live rows in the mean: panels of tokens are packed once for so many rows.
TASK_TOKENS, TASK_ROWS = 128, 2 * TILE_ROWS


@compile_kernel
def one_mask(live: Any) -> bool:
    """Whether every token has the mask of the first: (N, B) uint8."""
    for token in range(1, live.shape[0]):
        differing = 0
        for block in range(live.shape[1]):
            differing += live[token, block] != live[0, block]
        if differing > 0:
            return False
    return True


@compile_parallel
def multiply_one_mask(x: Any, weight: Any, bias: Any, live_in: Any, live_out: Any, out: Any) -> None:
    """out = ((x M_in) W^T + bias) M_out, where all rows of a mask are equal.

    x: (N, p). weight: (q, p), half types as bits. bias: (q,), or of no entries. live_in: (N, B_in), live_out: (N,
    B_out), uint8. out: (N, q).
    """
    tokens, blocks = live_out.shape
    starts, listed = live_lists(live_in)
    alive = listed[: starts[1]]
    wide, high = x.shape[1] // live_in.shape[1], out.shape[1] // blocks
    padded = padded_width(wide, out)
    live_x = gather_live(x, starts, listed, wide).reshape(tokens, alive.shape[0] * padded)
    rows = max(int(live_out[0].sum()) * high, 1)
    # So many neighbouring blocks of outputs have the rows of a task.
    group = min((TASK_ROWS * blocks + rows - 1) // rows, blocks)
    tiles = (tokens + TASK_TOKENS - 1) // TASK_TOKENS
    for task in prange((blocks + group - 1) // group * tiles):
        first = (task % tiles) * TASK_TOKENS
        last = min(first + TASK_TOKENS, tokens)
        begin = (task // tiles) * group
        end = min(begin + group, blocks)
        factors = _live_rows(weight, alive, wide, padded, live_out[0], begin, end, high, live_x)
        sums = np.empty((last - first, factors.shape[0]), out.dtype)
        multiply_rows(live_x[first:last], factors, np.arange(last - first), 0, sums)
        _put_blocks(sums, bias, live_out[0], begin, end, high, first, out)


@compile_kernel
def _live_rows(
    weight: Any, alive: Any, wide: int, padded: int, live_out: Any, begin: int, end: int, high: int, like: Any
) -> Any:
    """The live columns of the rows of the live blocks begin..end: (rows, live columns, each block padded)."""
    rows = np.zeros((int(live_out[begin:end].sum()) * high, alive.shape[0] * padded), like.dtype)
    place = 0
    for block in range(begin, end):
        if live_out[block] == 0:
            continue
        for row in range(block * high, (block + 1) * high):
            for entry in range(alive.shape[0]):
                target = rows[place, entry * padded : entry * padded + wide]
                copy_row(target, read_row(weight[row, alive[entry] * wide : (alive[entry] + 1) * wide], target))
            place += 1
    return rows


@compile_kernel
def _put_blocks(sums: Any, bias: Any, live_out: Any, begin: int, end: int, high: int, first: int, out: Any) -> None:
    """The sums (n, live rows), plus the bias, in the live blocks begin..end of the tokens from the first on, else 0."""
    for t in range(sums.shape[0]):
        place = 0
        for block in range(begin, end):
            target = out[first + t, block * high : (block + 1) * high]
            if live_out[block] == 0:
                target[:] = 0
                continue
            if bias.shape[0] > 0:
                add_to(target, sums[t, place : place + high], bias[block * high : (block + 1) * high])
            else:
                copy_row(target, sums[t, place : place + high])
            place += high
