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

# Tasks of so many a thread are shared out evenly enough; of fewer tiles, networks are cut into blocks of rows instead.
TASKS_PER_THREAD = 4
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
    threads: int,
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
    order, place, experts, starts = sort_slots(expert, weight_in.shape[0])
    tokens = order // max(share.shape[1], 1)
    outputs = np.empty((order.shape[0], out.shape[1]), out.dtype)
    fewest = FEWEST_IN_NARROW
    if _count_tiles(starts) < TASKS_PER_THREAD * threads or min(weight_out.shape[1:]) < FEWEST_ROWS:
        fewest = order.shape[0] + 1
    few = starts[1:] - starts[:-1] < fewest
    if few.any():
        _run_few(
            x,
            weight_in,
            weight_out,
            tokens,
            experts[few],
            starts[:-1][few],
            starts[1:][few],
            code,
            TASKS_PER_THREAD * threads,
            kept if keep else np.empty((order.shape[0], weight_in.shape[1]), out.dtype),
            outputs,
        )
    if not few.all():
        keys, begins, ends = _cut(experts, starts, fewest)
        _run_tiles(x, weight_in, weight_out, tokens, keys, begins, ends, code, keep, kept, outputs)
    add_slots(outputs, place, share, out)
    return wrong


@compile_kernel
def _count_tiles(starts: Any) -> int:
    tiles = 0
    for group in range(starts.shape[0] - 1):
        tiles += _tiles_of(starts[group + 1] - starts[group])
    return tiles


@compile_kernel
def _tiles_of(count: int) -> int:
    """Tiles of ``PACKED`` assignments, the last with those that are left, up to a narrow panel more."""
    return max(1, (count + PACKED - NARROW - 1) // PACKED)


@compile_kernel
def _cut(experts: Any, starts: Any, fewest: int) -> Any:
    """The tiles of the experts that have at least so many assignments: their expert, and where each begins and ends."""
    tiles = _count_tiles(starts)
    keys, begins, ends = np.empty(tiles, np.int64), np.empty(tiles, np.int64), np.empty(tiles, np.int64)
    found = 0
    for group in range(experts.shape[0]):
        count = starts[group + 1] - starts[group]
        for tile in range(_tiles_of(count) if count >= fewest else 0):
            keys[found], begins[found] = experts[group], starts[group] + tile * PACKED
            ends[found] = min(begins[found] + PACKED, starts[group + 1])
            found += 1
        if count >= fewest:
            ends[found - 1] = starts[group + 1]
    return keys[:found], begins[:found], ends[:found]


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
    tasks: int,
    before: Any,
    outputs: Any,
) -> None:
    """before[a] = W_in x[tokens[a]] and outputs[a] = W_out act(before[a]) of the assignments of groups.

    Each product is cut into about so many tasks.
    """
    rows, hidden = weight_in.shape[1], weight_out.shape[2]
    inputs = np.empty((tokens.shape[0], x.shape[1]), x.dtype)
    units = np.empty((tokens.shape[0], hidden), outputs.dtype)
    places = np.arange(tokens.shape[0])
    blocks = (tasks + experts.shape[0] - 1) // experts.shape[0]
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
