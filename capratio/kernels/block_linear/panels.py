"""block_linear compiled for many tokens a weight block: each block is packed once and multiplied by its tokens.

A task is one block of outputs and some tokens: those that have it live, and of them, for each block of inputs, those
that have that one live too. Their sums stay in the cache until all input blocks are added, and are written once.
"""

from typing import Any

import numpy as np
from numba import prange

from capratio.kernels.block_linear.live_lists import live_lists, live_tokens, padded_width, shared_tokens
from capratio.kernels.cpu.compiling import compile_kernel, compile_parallel, compile_tile
from capratio.kernels.cpu.lane_products import SPARE_PLACES, add_products, line_elements
from capratio.kernels.cpu.lane_transposes import transpose_tile
from capratio.kernels.cpu.tiles import copy_row
from capratio.kernels.cpu.widening import read_row, widen_rows, widening_buffer

# Tokens of a task: of 1024 features and blocks of 64, a tenth of the pairs live, 256 / 512 / 1024 tokens a task took
# 1.5 / 1.3 / 1.2 ms for 1024 tokens; the sums of so many with 64 outputs are 256 KiB at most.
TASK_TOKENS = 1024
# Tasks that keep all threads busy where output blocks alone are too few.
FEWEST_TASKS, FEWEST_TASK_TOKENS = 16, 64
# Of the gradient to the input, so few tokens read a block where it lies.
FEW_IN_PLACE = 8


@compile_parallel
def multiply(rows: Any, weight: Any, bias: Any, live_left: Any, live_right: Any, transposed: bool, out: Any) -> None:
    """out = ((rows M_left) W^T + bias) M_right, or where transposed ((rows M_left) W) M_right without a bias.

    rows: (N, i). weight: (q, p), half types as bits. bias: (o,), or of no entries. live_left: (N, B_left), live_right:
    (N, B_right), uint8. out: (N, o).
    """
    tokens, blocks = live_right.shape
    starts, listed = live_lists(live_left)
    tiles = min((FEWEST_TASKS + blocks - 1) // blocks, (tokens + FEWEST_TASK_TOKENS - 1) // FEWEST_TASK_TOKENS)
    tiles = max(tiles, (tokens + TASK_TOKENS - 1) // TASK_TOKENS)
    tile = (tokens + tiles - 1) // tiles
    for token in prange(tokens):
        out[token] = 0
    for task in prange(blocks * tiles):
        first = (task % tiles) * tile
        last = min(first + tile, tokens)
        _multiply_block(
            rows, weight, bias, starts, listed, live_left, live_right, task // tiles, first, last, transposed, out
        )


@compile_kernel
def _multiply_block(
    rows: Any,
    weight: Any,
    bias: Any,
    starts: Any,
    listed: Any,
    live_left: Any,
    live_right: Any,
    right: int,
    first: int,
    last: int,
    transposed: bool,
    out: Any,
) -> None:
    """The outputs of the block ``right`` of the tokens first..last."""
    features, blocks = rows.shape[1], live_left.shape[1]
    deep, wide = features // blocks, out.shape[1] // live_right.shape[1]
    padded = padded_width(wide, out)
    members = live_tokens(live_right, right, first, last)
    count = members.shape[0]
    counts, places, _ = shared_tokens(members, starts, listed, 0, blocks)
    # One row more for what is computed without use.
    sums = np.zeros((count + 1, padded), out.dtype)
    if bias.shape[0] > 0:
        for place in range(count):
            copy_row(sums[place], bias[right * wide : (right + 1) * wide])
    panel = np.zeros((deep, padded), out.dtype)
    buffer = widening_buffer(weight[:, : wide if transposed else deep], deep if transposed else wide, out)
    begins, ends = np.empty(count + SPARE_PLACES, np.int64), np.empty(count + SPARE_PLACES, np.int64)
    flat, flat_sums = rows.reshape(-1), sums.reshape(-1)
    for left in range(blocks):
        shared = counts[left]
        if shared == 0:
            continue
        begins[: shared + SPARE_PLACES], ends[: shared + SPARE_PLACES] = 0, count * padded
        for s in range(shared):
            place = places[left, s]
            begins[s] = members[place] * features + left * deep
            ends[s] = place * padded
        if not transposed:
            block = weight[right * wide : (right + 1) * wide, left * deep : (left + 1) * deep]
            _pack_transposed(widen_rows(block, buffer), panel)
            factors = panel
        elif shared <= FEW_IN_PLACE and wide == padded:
            factors = widen_rows(weight[left * deep : (left + 1) * deep, right * wide : (right + 1) * wide], buffer)
        else:
            _pack(weight, left * deep, right * wide, wide, panel)
            factors = panel
        add_products(flat, begins, shared, 1, factors, flat_sums, ends)
    _put_rows(sums, members, first, last, out, right * wide, (right + 1) * wide)


@compile_tile
def _put_rows(sums: Any, members: Any, first: Any, last: Any, out: Any, begin: Any, end: Any) -> None:
    """Each member's sums in the columns begin..end of its row."""
    for place in range(members.shape[0]):
        copy_row(out[members[place], begin:end], sums[place, : end - begin])


@compile_tile
def _pack(weight: Any, row: Any, column: Any, wide: Any, panel: Any) -> None:
    """panel[j, c] = weight[row + j, column + c] for c < wide; the columns behind stay as they are."""
    for j in range(panel.shape[0]):
        target = panel[j, :wide]
        copy_row(target, read_row(weight[row + j, column : column + wide], target))


@compile_tile
def _pack_transposed(block: Any, panel: Any) -> None:
    """panel[j, r] = block[r, j]; the columns behind stay as they are."""
    line = line_elements(panel)
    high, wide = block.shape[0] // line * line, block.shape[1] // line * line
    for r in range(0, high, line):
        for j in range(0, wide, line):
            transpose_tile(block, r, j, panel, j, r)
    for r in range(block.shape[0]):
        for j in range(wide if r < high else 0, block.shape[1]):
            panel[j, r] = block[r, j]
