"""unit_lookup on the CPU, compiled: rows are scaled and added where they lie, and no vector is formed in memory.

Sums of narrow rows are the library's.
"""

from typing import Any

import numpy as np
import torch
from numba import prange

from capratio.kernels.cpu.compiling import array, compile_kernel, compile_parallel, use_torch_threads
from capratio.kernels.cpu.huge_pages import new_table
from capratio.kernels.cpu.index_check import check_rows
from capratio.kernels.cpu.node_groups import NodeGroups, group_tokens
from capratio.kernels.cpu.prefetching import prefetch_row
from capratio.kernels.cpu.tiles import add_four_rows, add_row, dot_one
from capratio.kernels.cpu.weighted_rows import AHEAD, add_stripes
from capratio.kernels.cpu.widening import read_row
from capratio.kernels.crossovers import CPU_CROSSOVERS
from capratio.kernels.precision import product_dtype
from capratio.kernels.unit_lookup import embedding_bag


def unit_lookup(x: torch.Tensor, table: torch.Tensor, node: torch.Tensor) -> torch.Tensor:
    """y_n = sum over j of x_nj (sum over m of table[node_njm]): (N, p), (rows, q), (N, p, m) -> (N, q).

    Raises InputError for a node that is no row of the table; so do the gradients.
    """
    rows = array(node)
    check_rows(rows, len(table))
    if table.dtype == torch.float32 and table.shape[1] < CPU_CROSSOVERS.library_bag_under_features:
        return embedding_bag.unit_lookup(x, table, node)
    wide = x.to(product_dtype(x))
    out = wide.new_empty(len(x), table.shape[1])
    use_torch_threads()
    _add_units(array(wide), array(table), rows, array(out))
    return out.to(x.dtype)


def unit_lookup_input_gradient(grad: torch.Tensor, table: torch.Tensor, node: torch.Tensor) -> torch.Tensor:
    """dx_nj = (sum over m of table[node_njm]) . dy_n: (N, q), (rows, q), (N, p, m) -> (N, p)."""
    wide = grad.to(product_dtype(grad))
    out = wide.new_empty(node.shape[:2])
    rows = array(node)
    check_rows(rows, len(table))
    use_torch_threads()
    _dot_units(array(wide), array(table), rows, array(out))
    return out.to(grad.dtype)


def unit_lookup_weight_gradient(grad: torch.Tensor, x: torch.Tensor, node: torch.Tensor, rows: int) -> torch.Tensor:
    """dtable[node_njm] += x_nj dy_n: (N, q), (N, p), (N, p, m) -> (rows, q).

    The look-ups are sorted by row, in the order of tokens and units, so that every row is summed at one place and
    written once.
    """
    return _sum_groups(grad, x, node.shape[2], group_tokens(node.reshape(-1), rows), rows)


def unit_lookup_touched_gradient(
    grad: torch.Tensor, x: torch.Tensor, node: torch.Tensor, rows: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """The visited rows and their gradients, padded: (N, q), (N, p), (N, p, m) -> (M,), (M, q), M = min(N p m, rows)."""
    indices, groups = group_tokens(node.reshape(-1), rows).compacted(rows)
    return indices, _sum_groups(grad, x, node.shape[2], groups, len(indices))


def _sum_groups(grad: torch.Tensor, x: torch.Tensor, nodes: int, groups: NodeGroups, rows: int) -> torch.Tensor:
    """The sum of each group's look-ups in its row of (rows, q), and zeros in the others."""
    wide = product_dtype(grad)
    total = new_table(grad, rows, grad.shape[1], dtype=wide)
    use_torch_threads()
    _sum_rows(array(grad.to(wide)), array(x.to(wide)), nodes, groups.order, *groups.ranges(rows), array(total))
    return total.to(grad.dtype)


@compile_parallel
def _add_units(x: Any, table: Any, node: Any, out: Any) -> None:
    tokens, units, nodes = node.shape
    rows = node.reshape(tokens, units * nodes)
    for token in prange(tokens):
        total, factor, row = out[token], x[token], rows[token]
        total[:] = 0
        done = add_stripes(total, table, row, factor, nodes)
        if done < total.shape[0]:
            _add_rows(total[done:], factor, table[:, done:], row, nodes)


@compile_kernel
def _add_rows(total: Any, factor: Any, table: Any, rows: Any, each: int) -> None:
    """total += sum over e of factor[e // each] table[rows[e]], four rows at a time, half types widened on the way."""
    count = rows.shape[0]
    buffer = np.empty((4, total.shape[0]), total.dtype)
    place = 0
    while place + 4 <= count:
        for later in range(place + AHEAD, min(place + AHEAD + 4, count)):
            prefetch_row(table[rows[later]])
        add_four_rows(
            total,
            factor[place // each],
            read_row(table[rows[place]], buffer[0]),
            factor[(place + 1) // each],
            read_row(table[rows[place + 1]], buffer[1]),
            factor[(place + 2) // each],
            read_row(table[rows[place + 2]], buffer[2]),
            factor[(place + 3) // each],
            read_row(table[rows[place + 3]], buffer[3]),
        )
        place += 4
    while place < count:
        add_row(total, factor[place // each], read_row(table[rows[place]], buffer[0]))
        place += 1


@compile_parallel
def _dot_units(grad: Any, table: Any, node: Any, out: Any) -> None:
    tokens, units, nodes = node.shape
    rows = node.reshape(tokens, units * nodes)
    for token in prange(tokens):
        buffer = np.empty(grad.shape[1], out.dtype)
        zero = out.dtype.type(0)
        for unit in range(units):
            total = zero
            for m in range(nodes):
                later = unit * nodes + m + AHEAD
                if later < units * nodes:
                    prefetch_row(table[rows[token, later]])
                total += dot_one(read_row(table[node[token, unit, m]], buffer), grad[token], zero)
            out[token, unit] = total


@compile_parallel
def _sum_rows(grad: Any, x: Any, nodes: int, order: Any, begins: Any, ends: Any, total: Any) -> None:
    units = x.shape[1]
    for row in prange(total.shape[0]):
        place, end = begins[row], ends[row]
        total[row] = 0
        while place + 4 <= end:
            a, b, c, d = (
                order[place] // nodes,
                order[place + 1] // nodes,
                order[place + 2] // nodes,
                order[place + 3] // nodes,
            )
            add_four_rows(
                total[row],
                x[a // units, a % units],
                grad[a // units],
                x[b // units, b % units],
                grad[b // units],
                x[c // units, c % units],
                grad[c // units],
                x[d // units, d % units],
                grad[d // units],
            )
            place += 4
        while place < end:
            last = order[place] // nodes
            add_row(total[row], x[last // units, last % units], grad[last // units])
            place += 1
