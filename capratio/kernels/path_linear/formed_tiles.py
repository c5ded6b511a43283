"""The compiled kernels of formed paths: a tile of a leaf's matrix is summed in the cache, and used there.

A task owns some rows (or columns) of all matrices and walks the visited leaves in ascending order. With ``shared`` it
keeps the partial sums of the current path, one tile a level, of which the next leaf overwrites those that it does not
share; without, each leaf is summed anew in one tile. No leaf's matrix is ever written to memory.
"""

from typing import Any

import numpy as np
from numba import prange

from capratio.kernels.cpu.compiling import compile_parallel
from capratio.kernels.cpu.path_tiles import add_node, first_level
from capratio.kernels.cpu.prefetching import prefetch_row
from capratio.kernels.cpu.tile_products import multiply_rows
from capratio.kernels.cpu.tiles import ROWS, add_row, add_rows, copy_row

# Rows of a task: 64 x 512 float32 of a tile are 128 KiB, in the second level of the cache.
FORMED_ROWS = 64
# Rows that are summed over all levels before the next: those of a level are then in the first level of the cache where
# the next level reads them, and adding a node of 1 MiB took 44 us by 4 rows of 512 float32 and 80 by 16 or 64 (from
# memory; from the third level of the cache 17 and 33; one thread, least of 9 calls).
PIECE_ROWS = 4
# Columns of a task of the transposed product: k + 1 tiles of 16 x 512 float32 are 32 KiB each.
COLUMNS = 512


@compile_parallel
def multiply_formed(
    x: Any, weight: Any, depth: int, shared: bool, order: Any, leaves: Any, starts: Any, out: Any
) -> None:
    """out[n] = (sum over the path of leaves[g] of weight) x[n] for the tokens n of group g.

    The tokens of group g are order[starts[g]:starts[g + 1]]. x: (N, p). weight: (2^(k+1) - 1, q, p), half types as
    bits. leaves: (G,), ascending. out: (N, q).
    """
    nodes, features, wide = weight.shape
    flat = weight.reshape(nodes, features * wide)
    for task in prange((features + FORMED_ROWS - 1) // FORMED_ROWS):
        first = task * FORMED_ROWS
        last = min(first + FORMED_ROWS, features)
        size, piece = (last - first) * wide, PIECE_ROWS * wide
        sums = np.empty((depth + 1 if shared else 1, size), out.dtype)
        buffer = np.empty(piece, out.dtype)
        before = -1
        for group in range(leaves.shape[0]):
            leaf = leaves[group]
            top = first_level(before, leaf, depth, shared)
            for start in range(0, size, piece):
                begin, end = first * wide + start, first * wide + min(start + piece, size)
                for level in range(top, depth + 1):
                    node = flat[(1 << level) - 1 + (leaf >> (depth - level))]
                    prefetch_row(node[end : min(end + piece, last * wide)])
                    add_node(sums, level, node[begin:end], start, buffer)
            before = leaf
            rows = sums[-1].reshape(last - first, wide)
            multiply_rows(x, rows, order[starts[group] : starts[group + 1]], first, out)


@compile_parallel
def multiply_formed_transposed(
    grad: Any, weight: Any, depth: int, shared: bool, order: Any, leaves: Any, starts: Any, out: Any
) -> None:
    """out[n] = (sum over the path of leaves[g] of weight)^T grad[n] for the tokens n of group g.

    grad: (N, q). out: (N, p). The others as ``multiply_formed``.
    """
    features, wide = weight.shape[1], weight.shape[2]
    for task in prange((wide + COLUMNS - 1) // COLUMNS):
        left = task * COLUMNS
        right = min(left + COLUMNS, wide)
        width = right - left
        sums = np.empty((depth + 1 if shared else 1, ROWS * width), out.dtype)
        buffer = np.empty(width, out.dtype)
        out[:, left:right] = 0
        for first in range(0, features, ROWS):
            last = min(first + ROWS, features)
            before = -1
            for group in range(leaves.shape[0]):
                leaf = leaves[group]
                top = first_level(before, leaf, depth, shared)
                for i in range(last - first):
                    for level in range(top, depth + 1):
                        node = weight[(1 << level) - 1 + (leaf >> (depth - level))]
                        add_node(sums, level, node[first + i][left:right], i * width, buffer)
                before = leaf
                rows = sums[-1].reshape(ROWS, width)[: last - first]
                for token in order[starts[group] : starts[group + 1]]:
                    add_rows(out[token][left:right], grad[token][first:last], rows)


@compile_parallel
def carry_to_parents(total: Any, starts: Any, children: Any) -> None:
    """Every node above the leaves gets the sum of its visited children, or zeros: level by level, from below.

    total: (rows, q, p) in level order, of which the leaves' rows are there. starts: (k + 2,), where each level begins
    there. children: of each row above the leaves, the rows of its two children, and -1 for one that is not visited.
    """
    features = total.shape[1]
    blocks = (features + ROWS - 1) // ROWS
    for level in range(starts.shape[0] - 3, -1, -1):
        for task in prange(blocks * (starts[level + 1] - starts[level])):
            row = starts[level] + task // blocks
            left, right = children[row]
            one = total.dtype.type(1)
            for i in range((task % blocks) * ROWS, min((task % blocks + 1) * ROWS, features)):
                if left >= 0:
                    copy_row(total[row, i], total[left, i])
                    if right >= 0:
                        add_row(total[row, i], one, total[right, i])
                elif right >= 0:
                    copy_row(total[row, i], total[right, i])
                else:
                    total[row, i] = 0
