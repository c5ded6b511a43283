"""row_lookup by torch's own embedding bag, a peer: a token is a bag of its rows, weighted by their shares.

The gradient of touched rows is torch's own sparse one, which names a row as often as it was looked up, coalesced.
"""

import torch
from torch.nn.functional import embedding_bag, pad

from capratio.kernels.touched_rows import most_touched

_SUM = 0
_NO_PADDING = -1


def row_lookup(table: torch.Tensor, row: torch.Tensor, share: torch.Tensor | None) -> torch.Tensor:
    """y_n = sum over j of share_nj table[row_nj]: (R, d), (N, m), (N, m) or None -> (N, d)."""
    starts, _, _ = _bags(row)
    return embedding_bag(row.flatten(), table, starts, mode="sum", per_sample_weights=_weights(share))


def row_lookup_share_gradient(grad: torch.Tensor, table: torch.Tensor, row: torch.Tensor) -> torch.Tensor:
    """dshare_nj = dy_n . table[row_nj]: (N, d), (R, d), (N, m) -> (N, m)."""
    offsets, bags, _ = _bags(row)
    out: torch.Tensor = torch.ops.aten._embedding_bag_per_sample_weights_backward(
        grad, table, row.flatten().contiguous(), offsets, bags, _SUM, _NO_PADDING
    )
    return out.view(row.shape)


def row_lookup_table_gradient(
    grad: torch.Tensor, row: torch.Tensor, share: torch.Tensor | None, rows: int
) -> torch.Tensor:
    """dtable[row_nj] += share_nj dy_n: (N, d), (N, m), (N, m) or None -> (rows, d)."""
    return _table_gradient(grad, row, share, rows, sparse=False)


def row_lookup_touched_gradient(
    grad: torch.Tensor, row: torch.Tensor, share: torch.Tensor | None, rows: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """The visited rows and their gradients, padded: -> (M,), (M, d), M = min(N m, rows)."""
    gradient = _table_gradient(grad, row, share, rows, sparse=True).coalesce()
    padding = most_touched(row.numel(), rows) - gradient.indices().shape[1]
    return pad(gradient.indices()[0], (0, padding), value=rows), pad(gradient.values(), (0, 0, 0, padding))


def _table_gradient(
    grad: torch.Tensor, row: torch.Tensor, share: torch.Tensor | None, rows: int, *, sparse: bool
) -> torch.Tensor:
    offsets, bags, sizes = _bags(row)
    out: torch.Tensor = torch.ops.aten._embedding_bag_backward(
        grad.contiguous(),
        row.flatten().contiguous(),
        offsets,
        bags,
        sizes,
        offsets,
        rows,
        False,
        _SUM,
        sparse,
        _weights(share),
        _NO_PADDING,
    )
    return out


def _weights(share: torch.Tensor | None) -> torch.Tensor | None:
    return None if share is None else share.flatten()


def _bags(row: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Where each token's bag begins, (N,), the bag of each row, (N m,), and the bags' sizes, (N,)."""
    tokens, size = row.shape
    starts = torch.arange(tokens, device=row.device) * size
    return starts, torch.arange(tokens, device=row.device).repeat_interleave(size), torch.full_like(starts, size)
