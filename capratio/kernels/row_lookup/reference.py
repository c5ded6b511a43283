"""row_lookup in plain torch: a chunk of tokens at a time, whose rows are gathered, scaled and added."""

from collections.abc import Iterator

import torch

from capratio.errors import InputError
from capratio.kernels.precision import add_rows, product_dtype, sum_dtype
from capratio.kernels.touched_rows import touched_rows

# Gathered rows of a chunk, (tokens, m, d): little enough that no batch meets a memory limit.
GATHERED_BYTES_CAP = 2**25


def row_lookup(table: torch.Tensor, row: torch.Tensor, share: torch.Tensor | None) -> torch.Tensor:
    """y_n = sum over j of share_nj table[row_nj]: (R, d), (N, m), (N, m) or None -> (N, d).

    Raises InputError for a row that is none of the table, on a CPU; so do the gradients.
    """
    out = table.new_empty(len(row), table.shape[1])
    for tokens in _chunks(row, table):
        vectors = _gather(table, row[tokens])
        if share is None:
            out[tokens] = vectors.sum(1)
        else:
            out[tokens] = torch.bmm(share[tokens].unsqueeze(1).to(vectors.dtype), vectors).squeeze(1)
    return out


def row_lookup_share_gradient(grad: torch.Tensor, table: torch.Tensor, row: torch.Tensor) -> torch.Tensor:
    """dshare_nj = dy_n . table[row_nj]: (N, d), (R, d), (N, m) -> (N, m)."""
    out = grad.new_empty(row.shape)
    for tokens in _chunks(row, table):
        vectors = _gather(table, row[tokens])
        out[tokens] = torch.bmm(vectors, grad[tokens].unsqueeze(2).to(vectors.dtype)).squeeze(2)
    return out


def row_lookup_table_gradient(
    grad: torch.Tensor, row: torch.Tensor, share: torch.Tensor | None, rows: int
) -> torch.Tensor:
    """dtable[row_nj] += share_nj dy_n: (N, d), (N, m), (N, m) or None -> (rows, d)."""
    _check_rows(row, rows)
    wide = sum_dtype(grad.dtype)
    total = grad.new_zeros(rows, grad.shape[1], dtype=wide)
    for tokens in _chunks(row, total):
        terms = grad[tokens].unsqueeze(1).to(wide).expand(-1, row.shape[1], -1)
        if share is not None:
            terms = terms * share[tokens].unsqueeze(2).to(wide)
        add_rows(total, row[tokens].flatten(), terms.flatten(0, 1))
    return total.to(grad.dtype)


def row_lookup_touched_gradient(
    grad: torch.Tensor, row: torch.Tensor, share: torch.Tensor | None, rows: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """The visited rows and their gradients, padded: -> (M,), (M, d), M = min(N m, rows)."""
    _check_rows(row, rows)
    indices, place = touched_rows(row, rows)
    return indices, row_lookup_table_gradient(grad, place, share, len(indices))


def _gather(table: torch.Tensor, row: torch.Tensor) -> torch.Tensor:
    """The rows of each bag, in the dtype of products: (R, d), (N, m) -> (N, m, d)."""
    _check_rows(row, len(table))
    vectors = table.index_select(0, row.flatten()).to(product_dtype(table))
    return vectors.view(*row.shape, table.shape[1])


def _check_rows(row: torch.Tensor, rows: int) -> None:
    """Raise InputError where an index is no row of the table; on a GPU, whose host would wait, torch itself asserts."""
    if row.device.type != "cpu" or row.numel() == 0:
        return
    for index in map(int, torch.aminmax(row)):
        if not 0 <= index < rows:
            raise InputError(
                f"the index {index} was given into a table of {rows} rows; give indices from 0 to {rows - 1}."
            )


def _chunks(row: torch.Tensor, table: torch.Tensor) -> Iterator[slice]:
    """Slices of tokens whose gathered rows stay under the cap, at least one token each."""
    tokens, lookups = row.shape
    step = max(1, GATHERED_BYTES_CAP // max(1, lookups * table.shape[1] * table.itemsize))
    return (slice(start, start + step) for start in range(0, tokens, step))
