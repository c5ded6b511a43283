"""The gradients of block_linear to weight and bias, compiled: of each block the sum over its own tokens."""

from typing import Any

import numpy as np
from numba import prange

from capratio.kernels.block_linear.live_lists import gather_live, live_lists, live_tokens, shared_tokens
from capratio.kernels.block_linear.panels import FEWEST_TASKS
from capratio.kernels.cpu.compiling import compile_kernel, compile_parallel
from capratio.kernels.cpu.listed_outer import ONE_LINE_COLUMNS, sum_listed
from capratio.kernels.cpu.tiles import add_row, copy_row


@compile_parallel
def sum_blocks(grad: Any, x: Any, live_in: Any, live_out: Any, place: Any, out: Any) -> None:
    """Write the gradient of every block b = i_out B_in + i_in, or zeros, to out[place[b] // c, :, place[b] % c].

    grad: (N, q). x: (N, p). live_in: (N, B_in), live_out: (N, B_out), uint8. place: (B_out B_in,) int64, -1 where
    nothing is written. out: (n, q / B_out, c, p / B_in).
    """
    starts, listed = live_lists(live_in)
    in_blocks, out_blocks = live_in.shape[1], live_out.shape[1]
    live_x = gather_live(x, starts, listed, out.shape[3])
    parts = min((FEWEST_TASKS + out_blocks - 1) // out_blocks, in_blocks)
    part = (in_blocks + parts - 1) // parts
    for task in prange(out_blocks * parts):
        first_block = min((task % parts) * part, in_blocks)
        last_block = min(first_block + part, in_blocks)
        _sum_row(grad, live_x, starts, listed, live_out, task // parts, first_block, last_block, place, out)


@compile_kernel
def _sum_row(
    grad: Any,
    live_x: Any,
    starts: Any,
    listed: Any,
    live_out: Any,
    row: int,
    first: int,
    last: int,
    place: Any,
    out: Any,
) -> None:
    """The blocks first..last of a row of blocks."""
    _, high, columns, wide = out.shape
    padded = (high + ONE_LINE_COLUMNS - 1) // ONE_LINE_COLUMNS * ONE_LINE_COLUMNS
    in_blocks = place.shape[0] // live_out.shape[1]
    members = live_tokens(live_out, row, 0, grad.shape[0])
    counts, places, entries = shared_tokens(members, starts, listed, first, last)
    left = np.zeros((members.shape[0], padded), out.dtype)
    for member in range(members.shape[0]):
        copy_row(left[member, :high], grad[members[member], row * high : (row + 1) * high])
    sums = np.empty((padded, live_x.shape[1]), out.dtype)
    for block in range(first, last):
        target = place[row * in_blocks + block]
        if target < 0:
            continue
        here = block - first
        sum_listed(left, places[here], live_x, entries[here], counts[here], sums)
        for r in range(high):
            copy_row(out[target // columns, r, target % columns], sums[r, :wide])


@compile_parallel
def sum_live(grad: Any, live_out: Any, out: Any) -> None:
    """out[c] = the sum of grad[n, c] over the tokens n that have c's block live: (N, q), (N, B_out) uint8, (q,)."""
    high = out.shape[0] // live_out.shape[1]
    for block in prange(live_out.shape[1]):
        total = out[block * high : (block + 1) * high]
        total[:] = 0
        for token in range(grad.shape[0]):
            if live_out[token, block]:
                add_row(total, out.dtype.type(1), grad[token, block * high : (block + 1) * high])
