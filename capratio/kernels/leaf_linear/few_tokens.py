"""The compiled kernels of groups with few tokens: each visited matrix is read once, in the order of memory.

A task is a block of rows of one group's matrix; tasks run on all of torch's threads, and no two write the same place,
so that sums do not depend on the threads.
"""

from typing import Any

import numpy as np
from numba import prange

from capratio.kernels.cpu.column_panels import multiply_columns, sum_outer_rows
from capratio.kernels.cpu.column_products import COLUMNS, QUADS, add_columns
from capratio.kernels.cpu.compiling import compile_kernel, compile_parallel
from capratio.kernels.cpu.index_check import first_outside
from capratio.kernels.cpu.panel_product import WIDE_ROWS
from capratio.kernels.cpu.sorting import sort_by_key
from capratio.kernels.cpu.tile_products import BLOCK_ROWS, multiply_rows
from capratio.kernels.cpu.tiles import add_rows
from capratio.kernels.cpu.widening import widening_buffer

# From so many tokens of a group on its products are computed in panels.
FEWEST_TOKENS_IN_COLUMN_PANELS = 96
FEWEST_TOKENS_IN_OUTER_PANELS = 8
# Rows of a task that writes the sums of outer products.
OUTER_ROWS = 16 * WIDE_ROWS


@compile_kernel
def multiply_tokens(x: Any, weight: Any, node: Any, out: Any) -> int:
    """out[n] = weight[node[n]] x[n]: tokens in any order, few enough that sorting them here takes the least time.

    Returns -1, or where a node is that is no row of the weight; then nothing is written.
    """
    place: int = first_outside(node, weight.shape[0])
    if place < 0:
        order, keys, starts = sort_by_key(node, weight.shape[0])
        multiply(x, weight, order, keys, starts[:-1], starts[1:], out)
    return place


@compile_kernel
def multiply_tokens_transposed(grad: Any, weight: Any, node: Any, out: Any) -> int:
    """out[n] = weight[node[n]]^T grad[n], and what it returns, as ``multiply_tokens``."""
    place: int = first_outside(node, weight.shape[0])
    if place < 0:
        order, keys, starts = sort_by_key(node, weight.shape[0])
        multiply_transposed(grad, weight, order, keys, starts[:-1], starts[1:], out)
    return place


@compile_parallel
def put_rows(rows: Any, order: Any, begin: int, end: int, out: Any) -> None:
    """out[order[s]] = rows[s - begin] for the places s in begin..end."""
    for s in prange(begin, end):
        out[order[s]] = rows[s - begin]


@compile_parallel
def multiply(x: Any, weight: Any, order: Any, keys: Any, begins: Any, ends: Any, out: Any) -> None:
    """out[n] = weight[keys[g]] x[n] for the tokens n of group g, order[begins[g]:ends[g]].

    x: (N, p). weight: (R, q, p), half types as bits. out: (N, q).
    """
    features = weight.shape[1]
    blocks = (features + BLOCK_ROWS - 1) // BLOCK_ROWS
    for task in prange(keys.shape[0] * blocks):
        group, first = task // blocks, (task % blocks) * BLOCK_ROWS
        rows = weight[keys[group]][first : min(first + BLOCK_ROWS, features)]
        multiply_rows(x, rows, order[begins[group] : ends[group]], first, out)


@compile_parallel
def multiply_transposed(grad: Any, weight: Any, order: Any, keys: Any, begins: Any, ends: Any, out: Any) -> None:
    """out[n] = weight[keys[g]]^T grad[n] for the tokens n of group g, order[begins[g]:ends[g]].

    grad: (N, q). weight: (R, q, p), half types as bits. out: (N, p).
    """
    wide = weight.shape[2]
    blocks = (wide + COLUMNS - 1) // COLUMNS
    for task in prange(keys.shape[0] * blocks):
        group, first = task // blocks, (task % blocks) * COLUMNS
        last = min(first + COLUMNS, wide)
        tokens, matrix = order[begins[group] : ends[group]], weight[keys[group]]
        if tokens.shape[0] >= FEWEST_TOKENS_IN_COLUMN_PANELS:
            multiply_columns(grad, tokens, matrix, first, last, out)
            continue
        sums = np.zeros((tokens.shape[0], last - first), out.dtype)
        buffer = widening_buffer(matrix, 4 * QUADS, out)
        add_columns(grad, tokens, matrix, first, last, buffer[:, : last - first], sums)
        for t in range(tokens.shape[0]):
            out[tokens[t], first:last] = sums[t]


@compile_parallel
def multiply_outer(grad: Any, x: Any, begins: Any, ends: Any, rows: Any, out: Any) -> None:
    """out[r] = the sum of grad[s] x[s]^T over the places s of r, begins[r]..ends[r]; zero where it has none.

    grad: (N, q), x: (N, p), in sorted order. rows: (M,), the rows r of out (R, q, p) that are written.
    """
    features = grad.shape[1]
    blocks = (features + OUTER_ROWS - 1) // OUTER_ROWS
    for task in prange(rows.shape[0] * blocks):
        place, first = task // blocks, (task % blocks) * OUTER_ROWS
        last = min(first + OUTER_ROWS, features)
        begin, end = begins[place], ends[place]
        if end - begin >= FEWEST_TOKENS_IN_OUTER_PANELS and last - first >= WIDE_ROWS:
            sum_outer_rows(grad[begin:end], x[begin:end], first, last, out[rows[place]])
            continue
        for i in range(first, last):
            total = out[rows[place], i]
            # A row of zeros stays in the first level of the cache until the sums are added.
            total[:] = 0
            add_rows(total, grad[begin:end, i], x[begin:end])
