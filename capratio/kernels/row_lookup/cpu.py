"""row_lookup on the CPU, compiled: rows are added where they lie, and a gradient writes the rows that were visited.

Bags of half types, and gradients to shares, are unit_lookup's, whose units are then the shares. The gradient to the
table is an inverse list: look-ups sorted by row, in the order of tokens, each row summed at one place and written once.
"""

from typing import Any

import torch
from numba import prange

from capratio.kernels.cpu.compiling import array, compile_parallel, compile_tile, use_torch_threads
from capratio.kernels.cpu.huge_pages import new_zeros
from capratio.kernels.cpu.index_check import check_rows, first_outside
from capratio.kernels.cpu.node_groups import NodeGroups, group_tokens
from capratio.kernels.cpu.tiles import add_four_rows, add_row
from capratio.kernels.cpu.weighted_rows import add_stripes
from capratio.kernels.crossovers import CPU_CROSSOVERS
from capratio.kernels.precision import product_dtype
from capratio.kernels.row_lookup import embedding_bag
from capratio.kernels.unit_lookup import cpu as units


def row_lookup(table: torch.Tensor, row: torch.Tensor, share: torch.Tensor | None) -> torch.Tensor:
    """y_n = sum over j of share_nj table[row_nj]: (R, d), (N, m), (N, m) or None -> (N, d).

    Raises InputError for a row that is none of the table; so do the gradients.
    """
    if table.dtype != product_dtype(table):
        return units.unit_lookup(*_as_units(table, row, share))
    rows = array(row)
    if table.shape[1] < CPU_CROSSOVERS.library_bag_under_features:
        check_rows(rows, len(table))
        return embedding_bag.row_lookup(table, row, share)
    # Without shares a token has one factor, 1, for all of its rows.
    factors, each = (table.new_ones(len(row), 1), max(1, row.shape[1])) if share is None else (share, 1)
    out = table.new_empty(len(row), table.shape[1])
    use_torch_threads()
    if _add_bags(array(table), rows, array(factors), each, array(out)):
        check_rows(rows, len(table))
    return out


def row_lookup_share_gradient(grad: torch.Tensor, table: torch.Tensor, row: torch.Tensor) -> torch.Tensor:
    """dshare_nj = dy_n . table[row_nj]: (N, d), (R, d), (N, m) -> (N, m)."""
    return units.unit_lookup_input_gradient(grad, table, row.unsqueeze(2))


def row_lookup_table_gradient(
    grad: torch.Tensor, row: torch.Tensor, share: torch.Tensor | None, rows: int
) -> torch.Tensor:
    """dtable[row_nj] += share_nj dy_n: (N, d), (N, m), (N, m) or None -> (rows, d)."""
    return _sum_groups(grad, row.shape[1], share, group_tokens(row.reshape(-1), rows), rows)


def row_lookup_touched_gradient(
    grad: torch.Tensor, row: torch.Tensor, share: torch.Tensor | None, rows: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """The visited rows and their gradients, padded: -> (M,), (M, d), M = min(N m, rows)."""
    indices, groups = group_tokens(row.reshape(-1), rows).compacted(rows)
    return indices, _sum_groups(grad, row.shape[1], share, groups, len(indices))


def _as_units(
    table: torch.Tensor, row: torch.Tensor, share: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """What unit_lookup takes: a unit for each share, or a single one, 1, of which all rows are nodes."""
    if share is None:
        return table.new_ones(len(row), 1), table, row.unsqueeze(1)
    return share, table, row.unsqueeze(2)


def _sum_groups(
    grad: torch.Tensor, lookups: int, share: torch.Tensor | None, groups: NodeGroups, rows: int
) -> torch.Tensor:
    """The sum of each group's look-ups in its row of (rows, d), and zeros in the others."""
    wide = grad.to(product_dtype(grad))
    total = new_zeros(wide, rows, grad.shape[1])
    # Without shares one factor, 1, is that of all look-ups.
    factors = wide.new_ones(1) if share is None else share.to(wide.dtype).reshape(-1)
    each = len(groups.order) if share is None else 1
    use_torch_threads()
    _sum_rows(array(wide), array(factors), lookups, each, *groups, array(total))
    return total.to(grad.dtype)


@compile_parallel
def _add_bags(table: Any, rows: Any, factors: Any, each: int, out: Any) -> int:
    """out[n] = sum over j of factors[n, j // each] table[rows[n, j]].

    Returns how many tokens name a row outside of the table, whose sums are not made.
    """
    outside = 0
    for token in prange(rows.shape[0]):
        if first_outside(rows[token], table.shape[0]) < 0:
            out[token] = 0
            add_stripes(out[token], table, rows[token], factors[token], each)
        else:
            outside += 1
    return outside


@compile_parallel
def _sum_rows(
    grad: Any, factors: Any, lookups: int, each: int, order: Any, rows: Any, begins: Any, ends: Any, total: Any
) -> None:
    """total[rows[g]] = the sum of the look-ups of group g, in their order."""
    for group in prange(rows.shape[0]):
        _sum_entries(total[rows[group]], grad, factors, lookups, each, order[begins[group] : ends[group]])


@compile_tile
def _sum_entries(total: Any, grad: Any, factors: Any, lookups: int, each: int, entries: Any) -> None:
    """total = sum over the entries e of factors[e // each] grad[e // lookups]."""
    first = entries[0]
    _copy_scaled(total, factors[first // each], grad[first // lookups])
    place = 1
    while place + 4 <= entries.shape[0]:
        a, b, c, d = entries[place], entries[place + 1], entries[place + 2], entries[place + 3]
        add_four_rows(
            total,
            factors[a // each],
            grad[a // lookups],
            factors[b // each],
            grad[b // lookups],
            factors[c // each],
            grad[c // lookups],
            factors[d // each],
            grad[d // lookups],
        )
        place += 4
    while place < entries.shape[0]:
        entry = entries[place]
        add_row(total, factors[entry // each], grad[entry // lookups])
        place += 1


@compile_tile
def _copy_scaled(total: Any, factor: Any, row: Any) -> None:
    """total = factor row, both (d,): most rows of a large table are visited once, and need no zeros first."""
    for j in range(row.shape[0]):
        total[j] = factor * row[j]
