"""Rows of a table, a few of which many tokens may share, with gradients that add in a fixed order on every device."""

from typing import Protocol

import torch
from torch.autograd import Function
from torch.nn.functional import embedding

from capratio.kernels.precision import sum_dtype


def picked_rows(table: torch.Tensor, row: torch.Tensor) -> torch.Tensor:
    """table[row], (R, q), (...) -> (..., q)."""
    if not table.is_cuda:
        return embedding(row, table)
    # There the gradient of an embedding adds in any order, and that of an index in the table's own type.
    return PickedRows.apply(table, row)  # type: ignore[no-any-return, no-untyped-call]


def picked_rows_gradient(grad: torch.Tensor, row: torch.Tensor, rows: int) -> torch.Tensor:
    """The sum of the gradients of each row's tokens, (..., q), (...) -> (rows, q)."""
    if grad.is_cuda:
        return summed_by_index(grad, row, rows)
    total: torch.Tensor = torch.ops.aten.embedding_dense_backward(grad, row, rows, -1, False)
    return total


def summed_by_index(grad: torch.Tensor, row: torch.Tensor, rows: int) -> torch.Tensor:
    """As ``picked_rows_gradient``, in a fixed order on a GPU; half types are summed in float32."""
    wide = sum_dtype(grad.dtype)
    total = grad.new_zeros(rows, grad.shape[-1], dtype=wide)
    return total.index_put((row,), grad.to(wide), accumulate=True).to(grad.dtype)


class _Context(Protocol):
    saved_tensors: tuple[torch.Tensor, ...]
    rows: int

    def save_for_backward(self, *tensors: torch.Tensor) -> None: ...


class PickedRows(Function):
    """table[row], whose gradient is ``summed_by_index``."""

    @staticmethod
    def forward(ctx: _Context, table: torch.Tensor, row: torch.Tensor) -> torch.Tensor:
        """Keep the rows."""
        ctx.save_for_backward(row)
        ctx.rows = len(table)
        return table[row]

    @staticmethod
    def backward(ctx: _Context, grad: torch.Tensor) -> tuple[torch.Tensor, None]:
        """To the table."""
        (row,) = ctx.saved_tensors
        return summed_by_index(grad, row, ctx.rows), None
