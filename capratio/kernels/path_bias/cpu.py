"""path_bias on the CPU, compiled: a path is summed once for all its tokens, and every output row is written once."""

from typing import Any

import numpy as np
import torch
from numba import prange

from capratio.kernels.cpu.compiling import array, compile_parallel, use_torch_threads
from capratio.kernels.cpu.huge_pages import new_table
from capratio.kernels.cpu.node_groups import Integers, NodeGroups, group_tokens, padded_rows
from capratio.kernels.cpu.path_tiles import add_node, first_level
from capratio.kernels.cpu.tiles import add_row, copy_row
from capratio.kernels.precision import product_dtype

# Visited leaves of a task, each of which forms its first leaf's path from the root on.
TASK_LEAVES = 64


def path_bias(base: torch.Tensor, table: torch.Tensor, leaf: torch.Tensor, depth: int) -> torch.Tensor:
    """base_n + sum over l = 0..k of table[node_l]: (N, q), (2^(k+1) - 1, q), (N,) -> (N, q).

    Raises InputError for a leaf that is none of 0..2^k - 1; so does the gradient.
    """
    out = new_table(base, *base.shape, dtype=product_dtype(base)).copy_(base)
    _add_sums(out, table, leaf, depth)
    return out.to(base.dtype)


def add_path_bias(base: torch.Tensor, table: torch.Tensor, leaf: torch.Tensor, depth: int) -> None:
    """As path_bias, in place."""
    if base.dtype == product_dtype(base) and base.is_contiguous():
        _add_sums(base, table, leaf, depth)
    else:
        base.copy_(path_bias(base, table, leaf, depth))


def path_bias_table_gradient(grad: torch.Tensor, leaf: torch.Tensor, depth: int) -> torch.Tensor:
    """dtable[node_l] += dy_n for l = 0..k: (N, q), (N,) -> (2^(k+1) - 1, q)."""
    rows = 2 ** (depth + 1) - 1
    return _sum_nodes(grad, group_tokens(leaf, 1 << depth), depth, np.arange(rows), rows)


def path_bias_touched_gradient(grad: torch.Tensor, leaf: torch.Tensor, depth: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The visited rows and their gradients, padded: (N, q), (N,) -> (M,), (M, q), M = min(N (k + 1), 2^(k+1) - 1)."""
    groups = group_tokens(leaf, 1 << depth)
    visited = groups.paths(depth).keys
    indices = padded_rows(visited, len(leaf) * (depth + 1), 2 ** (depth + 1) - 1)
    return indices, _sum_nodes(grad, groups, depth, visited, len(indices))


def _add_sums(total: torch.Tensor, table: torch.Tensor, leaf: torch.Tensor, depth: int) -> None:
    groups = group_tokens(leaf, 1 << depth)
    use_torch_threads()
    _add_paths(array(total), array(table), depth, *groups)


def _sum_nodes(grad: torch.Tensor, groups: NodeGroups, depth: int, nodes: Integers, rows: int) -> torch.Tensor:
    """The gradients of some nodes in the first rows of (rows, q), and zeros in the others."""
    wide = grad.to(product_dtype(grad))
    total = new_table(wide, rows, grad.shape[1])
    total[len(nodes) :] = 0
    starts = np.append(groups.begins, len(groups.order))
    use_torch_threads()
    _sum_subtrees(array(wide), groups.order, groups.keys, starts, depth, nodes, array(total))
    return total.to(grad.dtype)


@compile_parallel
def _add_paths(total: Any, table: Any, depth: int, order: Any, leaves: Any, begins: Any, ends: Any) -> None:
    """total[n] += the sum of the path of n's leaf, which is formed once for all tokens of the leaf."""
    groups, width = leaves.shape[0], total.shape[1]
    one = total.dtype.type(1)
    for task in prange((groups + TASK_LEAVES - 1) // TASK_LEAVES):
        sums, buffer = np.empty((depth + 1, width), total.dtype), np.empty(width, total.dtype)
        before = -1
        for group in range(task * TASK_LEAVES, min((task + 1) * TASK_LEAVES, groups)):
            leaf = leaves[group]
            for level in range(first_level(before, leaf, depth, True), depth + 1):
                add_node(sums, level, table[(1 << level) - 1 + (leaf >> (depth - level))], 0, buffer)
            before = leaf
            for s in range(begins[group], ends[group]):
                add_row(total[order[s]], one, sums[depth])


@compile_parallel
def _sum_subtrees(grad: Any, order: Any, leaves: Any, starts: Any, depth: int, nodes: Any, total: Any) -> None:
    """total[i] = the sum of the gradients of the tokens below nodes[i], which are neighbours in the order of leaves."""
    for row in prange(nodes.shape[0]):
        node = nodes[row]
        level = 0
        while (2 << level) - 1 <= node:
            level += 1
        first = (node + 1 - (1 << level)) << (depth - level)
        begin = starts[np.searchsorted(leaves, first)]
        end = starts[np.searchsorted(leaves, first + (1 << (depth - level)))]
        one = total.dtype.type(1)
        if begin == end:
            total[row] = 0
        else:
            copy_row(total[row], grad[order[begin]])
        for place in range(begin + 1, end):
            add_row(total[row], one, grad[order[place]])
