"""block_linear compiled for few tokens a weight block, or narrow blocks: multiplied where they lie, and none is packed.

Packing a block reads and writes all of it, which costs as much as the products of several tokens, and sums are loaded
and stored a block, which narrow blocks do not pay for. Here some rows stay in the first level of the cache while each
token that has them live walks over its live input blocks, with its sums in registers.
"""

from typing import Any

from numba import prange

from capratio.kernels.block_linear.live_lists import live_lists, live_tokens
from capratio.kernels.block_linear.panels import FEWEST_TASKS
from capratio.kernels.cpu.compiling import compile_parallel
from capratio.kernels.cpu.lane_transposes import ROWS_OF_DOTS, add_row_dots
from capratio.kernels.cpu.tiles import copy_row


@compile_parallel
def multiply_dots(x: Any, weight: Any, bias: Any, live_in: Any, live_out: Any, out: Any) -> None:
    """out = ((x M_in) W^T + bias) M_out: (N, p), (q, p), (q,) or no entries, (N, B_in), (N, B_out) uint8, (N, q).

    Blocks of inputs must be whole lines of the cache, blocks of outputs multiples of ``ROWS_OF_DOTS``, and the weight
    of the dtype of out.
    """
    tokens, blocks = live_out.shape
    starts, listed = live_lists(live_in)
    wide, high = x.shape[1] // live_in.shape[1], out.shape[1] // blocks
    sets = high // ROWS_OF_DOTS
    parts = min((FEWEST_TASKS + blocks - 1) // blocks, sets)
    rows = (sets + parts - 1) // parts * ROWS_OF_DOTS
    for token in prange(tokens):
        out[token] = 0
    for task in prange(blocks * parts):
        block = task // parts
        begin = min(block * high + (task % parts) * rows, (block + 1) * high)
        end = min(begin + rows, (block + 1) * high)
        members = live_tokens(live_out, block, 0, tokens)
        if bias.shape[0] > 0:
            for member in members:
                copy_row(out[member, begin:end], bias[begin:end])
        for row in range(begin, end, ROWS_OF_DOTS):
            for member in members:
                add_row_dots(weight, row, x, member, listed, starts[member], starts[member + 1], wide, out, row)
