"""The compiled kernels of formed paths: a tile of a leaf's matrix is summed in the cache, and used there.

A task owns some rows (or columns) of all matrices and walks the visited leaves in ascending order. It keeps the partial
sums of the current path, one tile a level; the next leaf overwrites the levels that it does not share (``shared``), or
all below the root. No leaf's matrix is ever written to memory.
"""

from typing import Any

import numpy as np
from numba import prange

from capratio.kernels.compiling import compile_parallel, compile_tile
from capratio.kernels.tile_products import multiply_rows
from capratio.kernels.tiles import ROWS, add_four_rows, add_row, add_to, copy_row
from capratio.kernels.widening import read_row

FORMED_ROWS = 64
# Columns of a task of the transposed product: k + 1 tiles of 16 x 512 float32 are 32 KiB each.
COLUMNS = 512


@compile_parallel
def multiply_formed(
    x: Any, weight: Any, depth: int, shared: bool, order: Any, leaves: Any, starts: Any, out: Any
) -> None:
    """out[order[s]] = (sum over the path of leaves[g] of weight) x[s] for the places s of group g.

    x: (N, p) in sorted order. weight: (2^(k+1) - 1, q, p), half types as bits. leaves: (G,), ascending. starts:
    (G + 1,). out: (N, q), in the tokens' order.
    """
    nodes, features, wide = weight.shape
    flat = weight.reshape(nodes, features * wide)
    for task in prange((features + FORMED_ROWS - 1) // FORMED_ROWS):
        first = task * FORMED_ROWS
        last = min(first + FORMED_ROWS, features)
        levels = depth + 1 if shared else 1
        sums = np.empty((levels, (last - first) * wide), out.dtype)
        buffer = np.empty((last - first) * wide, out.dtype)
        before = -1
        for group in range(leaves.shape[0]):
            leaf = leaves[group]
            for level in range(_first_level(before, leaf, depth, shared), depth + 1):
                node = flat[(1 << level) - 1 + (leaf >> (depth - level))]
                values = read_row(node[first * wide : last * wide], buffer)
                if level == 0:
                    copy_row(sums[0], values)
                elif shared:
                    add_to(sums[level], sums[level - 1], values)
                else:
                    add_row(sums[0], out.dtype.type(1), values)
            before = leaf
            rows = sums[levels - 1].reshape(last - first, wide)
            multiply_rows(x, rows, rows, order, starts[group], starts[group + 1], first, out, out.dtype.type(0))


@compile_parallel
def multiply_formed_transposed(
    grad: Any, weight: Any, depth: int, shared: bool, order: Any, leaves: Any, starts: Any, out: Any
) -> None:
    """out[order[s]] = (sum over the path of leaves[g] of weight)^T grad[s] for the places s of group g.

    grad: (N, q) in sorted order. out: (N, p), in the tokens' order. The others as ``multiply_formed``.
    """
    features, wide = weight.shape[1], weight.shape[2]
    for task in prange((wide + COLUMNS - 1) // COLUMNS):
        left = task * COLUMNS
        right = min(left + COLUMNS, wide)
        sums = np.empty((depth + 1, ROWS, right - left), out.dtype)
        buffer = np.empty(right - left, out.dtype)
        out[:, left:right] = 0
        for first in range(0, features, ROWS):
            last = min(first + ROWS, features)
            before = -1
            for group in range(leaves.shape[0]):
                leaf = leaves[group]
                for level in range(_first_level(before, leaf, depth, shared), depth + 1):
                    node = weight[(1 << level) - 1 + (leaf >> (depth - level))]
                    for i in range(last - first):
                        _add_node(sums[:, i], level, node[first + i][left:right], buffer)
                before = leaf
                for s in range(starts[group], starts[group + 1]):
                    _add_rows(out[order[s], left:right], grad[s, first:last], sums[depth, : last - first])


@compile_parallel
def carry_to_parents(total: Any, depth: int, visited: Any) -> None:
    """Every node above the leaves gets the sum of its visited children, or zeros: level by level, from below.

    total: (2^(k+1) - 1, q, p), of which the leaves' rows are there. visited: (2^(k+1) - 1,) of 0 and 1.
    """
    features = total.shape[1]
    blocks = (features + ROWS - 1) // ROWS
    for level in range(depth - 1, -1, -1):
        for task in prange(blocks << level):
            node = (1 << level) - 1 + task // blocks
            one = total.dtype.type(1)
            for i in range((task % blocks) * ROWS, min((task % blocks + 1) * ROWS, features)):
                if visited[2 * node + 1]:
                    copy_row(total[node, i], total[2 * node + 1, i])
                    if visited[2 * node + 2]:
                        add_row(total[node, i], one, total[2 * node + 2, i])
                elif visited[2 * node + 2]:
                    copy_row(total[node, i], total[2 * node + 2, i])
                else:
                    total[node, i] = 0


@compile_tile
def _add_node(sums: Any, level: Any, node: Any, buffer: Any) -> None:
    """sums[level] = sums[level - 1] + node, and at the root the node itself. node, buffer: (n,). sums: (k + 1, n)."""
    values = read_row(node, buffer)
    if level == 0:
        copy_row(sums[0], values)
    else:
        add_to(sums[level], sums[level - 1], values)


@compile_tile
def _first_level(before: Any, leaf: Any, depth: Any, shared: Any) -> Any:
    """The level from which a path is formed anew after the leaf ``before`` (-1: there was none)."""
    if before < 0:
        return 0
    if not shared:
        return 0
    level = depth + 1
    differing = before ^ leaf
    while differing:
        differing >>= 1
        level -= 1
    return level


@compile_tile
def _add_rows(total: Any, factors: Any, rows: Any) -> None:
    i = 0
    while i + 4 <= rows.shape[0]:
        add_four_rows(
            total,
            factors[i],
            rows[i],
            factors[i + 1],
            rows[i + 1],
            factors[i + 2],
            rows[i + 2],
            factors[i + 3],
            rows[i + 3],
        )
        i += 4
    while i < rows.shape[0]:
        add_row(total, factors[i], rows[i])
        i += 1
