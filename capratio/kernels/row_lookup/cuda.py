"""row_lookup in Triton: rows are added where they are read, and a gradient sums the sorted look-ups of each row.

A bag is a token of unit_lookup whose units are its shares.
"""

import torch

from capratio.kernels.cuda.rows_triton import sum_groups
from capratio.kernels.cuda.token_tiles import TokenOrder, sort_tokens
from capratio.kernels.unit_lookup import cuda as units


def row_lookup(table: torch.Tensor, row: torch.Tensor, share: torch.Tensor | None) -> torch.Tensor:
    """y_n = sum over j of share_nj table[row_nj]: (R, d), (N, m), (N, m) or None -> (N, d)."""
    scale = table.new_ones(1, 1).expand(row.shape) if share is None else share
    return units.unit_lookup(scale, table, row.unsqueeze(2))


def row_lookup_share_gradient(grad: torch.Tensor, table: torch.Tensor, row: torch.Tensor) -> torch.Tensor:
    """dshare_nj = dy_n . table[row_nj]: (N, d), (R, d), (N, m) -> (N, m)."""
    return units.unit_lookup_input_gradient(grad, table, row.unsqueeze(2))


def row_lookup_table_gradient(
    grad: torch.Tensor, row: torch.Tensor, share: torch.Tensor | None, rows: int
) -> torch.Tensor:
    """dtable[row_nj] += share_nj dy_n: (N, d), (N, m), (N, m) or None -> (rows, d)."""
    return _sum_entries(grad, row.shape[1], share, sort_tokens(row.reshape(-1), rows), rows)


def row_lookup_touched_gradient(
    grad: torch.Tensor, row: torch.Tensor, share: torch.Tensor | None, rows: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """The visited rows and their gradients, padded: -> (M,), (M, d), M = min(N m, rows)."""
    indices, entries = sort_tokens(row.reshape(-1), rows).compacted(rows)
    return indices, _sum_entries(grad, row.shape[1], share, entries, len(indices))


def _sum_entries(
    grad: torch.Tensor, lookups: int, share: torch.Tensor | None, entries: TokenOrder, rows: int
) -> torch.Tensor:
    total = grad.new_empty(rows, grad.shape[1])
    scale = None if share is None else share.reshape(-1).contiguous()
    # Bags of no rows have no entry, and divide nothing.
    sum_groups(total, grad, entries, scale=scale, per_source=max(1, lookups))
    return total
