"""unit_lookup on the CPU, compiled: rows are scaled and added where they lie, and no vector is formed in memory.

Sums over rows that a cache holds are the library's.
"""

from typing import Any

import numpy as np
import torch
from numba import prange

from capratio.kernels.compiling import array, compile_parallel, use_torch_threads
from capratio.kernels.crossovers import CPU_CROSSOVERS
from capratio.kernels.huge_pages import new_table
from capratio.kernels.index_check import check_rows
from capratio.kernels.node_groups import NodeGroups, group_tokens
from capratio.kernels.precision import product_dtype
from capratio.kernels.prefetching import prefetch_row
from capratio.kernels.tiles import add_four_rows, add_row, dot_one
from capratio.kernels.unit_lookup import embedding_bag
from capratio.kernels.widening import read_row

# How many rows ahead of its use a row is asked for; of 1 KiB each, 8 and 16 took the same time.
AHEAD = 8


def unit_lookup(x: torch.Tensor, table: torch.Tensor, node: torch.Tensor) -> torch.Tensor:
    """y_n = sum over j of x_nj (sum over m of table[node_njm]): (N, p), (rows, q), (N, p, m) -> (N, q).

    Raises InputError for a node that is no row of the table; so do the gradients.
    """
    rows = array(node)
    check_rows(rows, len(table))
    if table.dtype == torch.float32 and _bag_bytes(table, node) <= CPU_CROSSOVERS.library_bag_up_to_bytes:
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


def _bag_bytes(table: torch.Tensor, node: torch.Tensor) -> int:
    """The bytes that a cache must hold: of the table, or of the rows that are looked up where these are fewer."""
    return min(table.nbytes, node.numel() * table.shape[1] * table.itemsize)


@compile_parallel
def _add_units(x: Any, table: Any, node: Any, out: Any) -> None:
    tokens, units, nodes = node.shape
    rows = node.reshape(tokens, units * nodes)
    for token in prange(tokens):
        buffer = np.empty((4, out.shape[1]), out.dtype)
        total, factor, row = out[token], x[token], rows[token]
        total[:] = 0
        place = 0
        while place + 4 <= units * nodes:
            for later in range(place + AHEAD, min(place + AHEAD + 4, units * nodes)):
                prefetch_row(table[row[later]])
            add_four_rows(
                total,
                factor[place // nodes],
                read_row(table[row[place]], buffer[0]),
                factor[(place + 1) // nodes],
                read_row(table[row[place + 1]], buffer[1]),
                factor[(place + 2) // nodes],
                read_row(table[row[place + 2]], buffer[2]),
                factor[(place + 3) // nodes],
                read_row(table[row[place + 3]], buffer[3]),
            )
            place += 4
        while place < units * nodes:
            add_row(total, factor[place // nodes], read_row(table[row[place]], buffer[0]))
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
