"""path_bias on the CPU, compiled: a path's rows are added where they lie, and every output row is written once."""

from typing import Any

import numpy as np
import torch
from numba import prange

from capratio.kernels.compiling import array, compile_parallel, use_torch_threads
from capratio.kernels.huge_pages import new_table
from capratio.kernels.index_check import check_rows
from capratio.kernels.node_groups import Integers, NodeGroups, group_tokens, padded_rows
from capratio.kernels.precision import product_dtype
from capratio.kernels.tiles import add_row, copy_row
from capratio.kernels.widening import read_row


def path_bias(base: torch.Tensor, table: torch.Tensor, leaf: torch.Tensor, depth: int) -> torch.Tensor:
    """base_n + sum over l = 0..k of table[node_l]: (N, q), (2^(k+1) - 1, q), (N,) -> (N, q).

    Raises InputError for a leaf that is none of 0..2^k - 1; so does the gradient.
    """
    wide = base.to(product_dtype(base))
    out = new_table(wide, *base.shape)
    leaves = array(leaf)
    check_rows(leaves, 1 << depth)
    use_torch_threads()
    _add_paths(array(wide), array(table), leaves, depth, array(out))
    return out.to(base.dtype)


def path_bias_table_gradient(grad: torch.Tensor, leaf: torch.Tensor, depth: int) -> torch.Tensor:
    """dtable[node_l] += dy_n for l = 0..k: (N, q), (N,) -> (2^(k+1) - 1, q)."""
    rows = 2 ** (depth + 1) - 1
    return _sum_nodes(grad, group_tokens(leaf, 1 << depth), depth, np.arange(rows), rows)


def path_bias_touched_gradient(grad: torch.Tensor, leaf: torch.Tensor, depth: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The visited rows and their gradients, padded: (N, q), (N,) -> (M,), (M, q), M = min(N (k + 1), 2^(k+1) - 1)."""
    groups = group_tokens(leaf, 1 << depth)
    visited = groups.path_nodes(depth)
    indices = padded_rows(visited, len(leaf) * (depth + 1), 2 ** (depth + 1) - 1)
    return indices, _sum_nodes(grad, groups, depth, visited, len(indices))


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
def _add_paths(base: Any, table: Any, leaf: Any, depth: int, out: Any) -> None:
    for token in prange(base.shape[0]):
        buffer = np.empty(out.shape[1], out.dtype)
        one = out.dtype.type(1)
        total = out[token]
        copy_row(total, base[token])
        for level in range(depth + 1):
            row = (1 << level) - 1 + (leaf[token] >> (depth - level))
            add_row(total, one, read_row(table[row], buffer))


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
