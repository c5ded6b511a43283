"""The networks of all visited experts, compiled for the CPU: of many tokens a tile a task, of few a block of rows.

No two tasks write the same place, so that sums do not depend on the threads.
"""

from typing import Any

import numpy as np
from numba import prange

from capratio.kernels.cpu.compiling import compile_kernel, compile_parallel
from capratio.kernels.cpu.panel_product import NARROW
from capratio.kernels.cpu.tile_products import FEWEST_IN_NARROW, PACKED, multiply_rows
from capratio.kernels.cpu.tiles import copy_row
from capratio.kernels.expert_feedforward.assignments import add_slots, first_unknown, sort_slots
from capratio.kernels.expert_feedforward.curves import activate
from capratio.kernels.expert_feedforward.network_panels import FEWEST_ROWS, run_panels

# Of fewer tiles threads would wait for one another, and networks are cut into blocks of rows instead, into about so
# many tasks. Neither asks how many threads there are: rounding must not depend on them.
FEWEST_TILES, TASKS = 8, 16
# Rows of a block at least: their products outlast the start of a task.
FEWEST_IN_BLOCK = 64


@compile_kernel
def run_networks(
    x: Any,
    weight_in: Any,
    weight_out: Any,
    expert: Any,
    share: Any,
    code: int,
    keep: bool,
    kept: Any,
    out: Any,
) -> int:
    """out[n] = sum over j of share[n, j] W_out[e] act(W_in[e] x[n]), and kept[a] = W_in[e] x[n] of each assignment.

    x: (N, p). weight_in: (E, m, p), weight_out: (E, q, h), half types as bits. expert: (N k,). share: (N, k). code: of
    the activation. kept: (N k, m), or of no rows. out: (N, q).

    Returns -1, or the first slot whose expert there is not; then nothing is written.
    """
    wrong: int = first_unknown(expert, weight_in.shape[0])
    if wrong >= 0:
        return wrong
    order, place, experts, begins, ends = sort_slots(expert, weight_in.shape[0])
    tokens = order // max(share.shape[1], 1)
    outputs = np.empty((order.shape[0], out.shape[1]), out.dtype)
    fewest = np.int64(FEWEST_IN_NARROW)
    narrow = min(weight_out.shape[1], weight_out.shape[2]) < FEWEST_ROWS
    if narrow or _count_tiles(begins, ends, fewest) < FEWEST_TILES:
        fewest = order.shape[0] + 1
    few, tiles = _part(experts, begins, ends, fewest)
    if few[0].shape[0] > 0:
        before = kept if keep else np.empty((order.shape[0], weight_in.shape[1]), out.dtype)
        _run_few(x, weight_in, weight_out, tokens, few[0], few[1], few[2], code, before, outputs)
    if tiles[0].shape[0] > 0:
        _run_tiles(x, weight_in, weight_out, tokens, tiles[0], tiles[1], tiles[2], code, keep, kept, outputs)
    add_slots(outputs, place, share, out)
    return wrong


@compile_kernel
def _count_tiles(begins: Any, ends: Any, fewest: int) -> int:
    """The tiles of the experts that have at least so many assignments.

    A tile has ``PACKED`` of them, an expert's last one those that are left, up to a narrow panel more.
    """
    tiles = 0
    for group in range(begins.shape[0]):
        count = ends[group] - begins[group]
        if count >= fewest:
            tiles += max(1, (count + PACKED - NARROW - 1) // PACKED)
    return tiles


@compile_kernel
def _part(experts: Any, begins: Any, ends: Any, fewest: int) -> Any:
    """Part experts of fewer assignments from those of so many or more, and cut these into tiles.

    Returns of the few, then of the tiles, the expert and where its assignments begin and end: (3, G), (3, T).
    """
    few = np.empty((3, experts.shape[0]), np.int64)
    tiles = np.empty((3, _count_tiles(begins, ends, fewest)), np.int64)
    small, found = 0, 0
    for group in range(experts.shape[0]):
        begin, end = begins[group], ends[group]
        if end - begin < fewest:
            few[0, small], few[1, small], few[2, small] = experts[group], begin, end
            small += 1
            continue
        own = _count_tiles(begins[group : group + 1], ends[group : group + 1], fewest)
        for tile in range(own):
            tiles[0, found], tiles[1, found] = experts[group], begin + tile * PACKED
            tiles[2, found] = end if tile == own - 1 else begin + (tile + 1) * PACKED
            found += 1
    return few[:, :small].copy(), tiles


@compile_parallel
def _run_tiles(
    x: Any,
    weight_in: Any,
    weight_out: Any,
    tokens: Any,
    keys: Any,
    begins: Any,
    ends: Any,
    code: int,
    keep: bool,
    kept: Any,
    outputs: Any,
) -> None:
    """outputs[a] = W_out act(W_in x[tokens[a]]) of the assignments of tiles."""
    for task in prange(keys.shape[0]):
        begin, end = begins[task], ends[task]
        first, second = weight_in[keys[task]], weight_out[keys[task]]
        run_panels(x, tokens[begin:end], first, second, code, keep, kept[begin:end], outputs[begin:end])


@compile_kernel
def _run_few(
    x: Any,
    weight_in: Any,
    weight_out: Any,
    tokens: Any,
    experts: Any,
    begins: Any,
    ends: Any,
    code: int,
    before: Any,
    outputs: Any,
) -> None:
    """before[a] = W_in x[tokens[a]] and outputs[a] = W_out act(before[a]) of the assignments of groups."""
    rows, hidden = weight_in.shape[1], weight_out.shape[2]
    inputs = np.empty((tokens.shape[0], x.shape[1]), x.dtype)
    units = np.empty((tokens.shape[0], hidden), outputs.dtype)
    places = np.arange(tokens.shape[0])
    blocks = (TASKS + experts.shape[0] - 1) // experts.shape[0]
    for group in range(experts.shape[0]):
        for a in range(begins[group], ends[group]):
            copy_row(inputs[a], x[tokens[a]])
    _multiply_blocks(inputs, weight_in, experts, begins, ends, places, blocks, before)
    for group in range(experts.shape[0]):
        for a in range(begins[group], ends[group]):
            activate(code, before[a, :hidden], before[a, rows - hidden :], units[a])
    _multiply_blocks(units, weight_out, experts, begins, ends, places, blocks, outputs)


@compile_parallel
def _multiply_blocks(
    x: Any, weight: Any, experts: Any, begins: Any, ends: Any, places: Any, blocks: int, out: Any
) -> None:
    """out[a] = weight[e] x[a] of the assignments of groups: each matrix in so many blocks of rows, or fewer."""
    rows = weight.shape[1]
    each = max((rows + blocks - 1) // blocks, FEWEST_IN_BLOCK)
    blocks = (rows + each - 1) // each
    for task in prange(experts.shape[0] * blocks):
        group, first = task // blocks, (task % blocks) * each
        block = weight[experts[group]][first : min(first + each, rows)]
        multiply_rows(x, block, places[begins[group] : ends[group]], first, out)
