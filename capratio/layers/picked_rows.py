"""Rows of a table, a few of which many tokens may share, with gradients that add in a fixed order on every device."""

import torch
from torch.nn.functional import embedding

from capratio.kernels.precision import sum_dtype


def picked_rows(table: torch.Tensor, row: torch.Tensor) -> torch.Tensor:
    """table[row], (R, q), (N,) -> (N, q)."""
    # The gradient of either way adds in a fixed order on one kind of device, and on the other in any.
    return table[row] if table.is_cuda else embedding(row, table)


def picked_rows_gradient(grad: torch.Tensor, row: torch.Tensor, rows: int) -> torch.Tensor:
    """The sum of the gradients of each row's tokens, (N, q), (N,) -> (rows, q)."""
    if grad.is_cuda:
        return summed_by_index(grad, row, rows)
    total: torch.Tensor = torch.ops.aten.embedding_dense_backward(grad, row, rows, -1, False)
    return total


def summed_by_index(grad: torch.Tensor, row: torch.Tensor, rows: int) -> torch.Tensor:
    """As ``picked_rows_gradient``, in a fixed order on a GPU; half types are summed in float32."""
    wide = sum_dtype(grad.dtype)
    total = grad.new_zeros(rows, grad.shape[1], dtype=wide)
    return total.index_put_((row,), grad.to(wide), accumulate=True).to(grad.dtype)
