"""row_lookup as torch operations: the sum of a bag of rows, and its gradients to shares and to rows."""

from typing import Any, Protocol

import torch

from capratio.cost import op_formulas
from capratio.cost.operation import OperationCost
from capratio.cost.spec import DENSE_GRADIENT
from capratio.kernels.backends import AUTO
from capratio.kernels.definition import Context, define, differentiate
from capratio.kernels.shape_check import Named, check_shapes
from capratio.kernels.touched_gradient import wants_touched, with_touched_gradient
from capratio.kernels.touched_rows import most_touched


def row_lookup(
    table: torch.Tensor,
    row: torch.Tensor,
    share: torch.Tensor | None = None,
    backend: str = AUTO,
    weight_gradient: str = DENSE_GRADIENT,
) -> torch.Tensor:
    """Add up each token's rows of a table, y_n = sum over j of share_nj table[row_nj].

    Args: table: (R, d). row: (N, m) int64 in 0..R - 1, in which a row may stand more than once. share: (N, m), of the
    table's dtype, or None: all 1, and nothing is multiplied. backend: one of ``capratio.kernels.backends.NAMES``.
    weight_gradient: ``dense``, or ``touched``: of the visited rows, sparse and coalesced.

    Returns (N, d); a bag of no rows is 0. Differentiable in table and share.

    Raises InputError for shapes or dtypes that do not fit one another, a row that is none of the table (on a CPU), a
    backend that is not known or cannot run where the table lies, an unknown weight_gradient, or a ``touched`` one that
    is compiled or differentiated twice.
    """
    _check("row_lookup", ("table", table, "Rd"), row, share)
    touched = wants_touched(weight_gradient, table)
    out: torch.Tensor = _ROW_LOOKUP(table.detach() if touched else table, row, share, backend)
    if not touched:
        return out
    tensors, options = ((row,), (None,)) if share is None else ((row, share), ())
    return with_touched_gradient(out, table, _TOUCHED_GRADIENT, tensors, (*options, len(table), backend))


def row_lookup_share_gradient(
    grad: torch.Tensor, table: torch.Tensor, row: torch.Tensor, backend: str = AUTO
) -> torch.Tensor:
    """The gradient of row_lookup to share, dshare_nj = dy_n . table[row_nj]: -> (N, m).

    Raises InputError for shapes or dtypes that do not fit, or a backend that is not known or cannot run there.
    """
    numbers = (("grad", grad, "Nd"), ("table", table, "Rd"))
    check_shapes("row_lookup_share_gradient", numbers, ("row", row, "Nm"), torch.int64)
    out: torch.Tensor = _SHARE_GRADIENT(grad, table, row, backend)
    return out


def row_lookup_table_gradient(
    grad: torch.Tensor, row: torch.Tensor, share: torch.Tensor | None, rows: int, backend: str = AUTO
) -> torch.Tensor:
    """The gradient of row_lookup to table, dtable[row_nj] += share_nj dy_n: -> (rows, d), dense.

    Raises InputError for shapes or dtypes that do not fit, or a backend that is not known or cannot run there.
    """
    _check("row_lookup_table_gradient", ("grad", grad, "Nd"), row, share)
    out: torch.Tensor = _TABLE_GRADIENT(grad, row, share, rows, backend)
    return out


def row_lookup_touched_gradient(
    grad: torch.Tensor, row: torch.Tensor, share: torch.Tensor | None, rows: int, backend: str = AUTO
) -> tuple[torch.Tensor, torch.Tensor]:
    """The rows that row_lookup visits, ascending, and their gradients: -> (M,), (M, d), M = min(N m, rows).

    Behind those that are visited, rows have the index ``rows`` and are zero.

    Raises InputError for shapes or dtypes that do not fit, or a backend that is not known or cannot run there.
    """
    _check("row_lookup_touched_gradient", ("grad", grad, "Nd"), row, share)
    indices, values = _TOUCHED_GRADIENT(grad, row, share, rows, backend)
    return indices, values


def _check(operation: str, given: Named, row: torch.Tensor, share: torch.Tensor | None) -> None:
    numbers = (given,) if share is None else (given, ("share", share, "Nm"))
    check_shapes(operation, numbers, ("row", row, "Nm"), torch.int64)


def _cost(table: torch.Tensor, row: torch.Tensor, share: torch.Tensor | None, *, backend: str) -> OperationCost:
    return op_formulas.row_lookup(*_sizes(table, row), shared=share is not None, itemsize=table.itemsize)


def _share_gradient_cost(grad: torch.Tensor, table: torch.Tensor, row: torch.Tensor, *, backend: str) -> OperationCost:
    return op_formulas.row_lookup_share_gradient(*_sizes(grad, row), itemsize=grad.itemsize)


def _table_gradient_cost(
    grad: torch.Tensor, row: torch.Tensor, share: torch.Tensor | None, rows: int, *, backend: str
) -> OperationCost:
    return op_formulas.row_lookup_table_gradient(
        *_sizes(grad, row), rows=rows, shared=share is not None, itemsize=grad.itemsize
    )


def _touched_gradient_cost(
    grad: torch.Tensor, row: torch.Tensor, share: torch.Tensor | None, rows: int, *, backend: str
) -> OperationCost:
    return op_formulas.row_lookup_touched_gradient(
        *_sizes(grad, row), rows=rows, shared=share is not None, itemsize=grad.itemsize
    )


def _sizes(vectors: torch.Tensor, row: torch.Tensor) -> tuple[int, int, int]:
    """Tokens N, features d, lookups m."""
    return row.shape[0], vectors.shape[1], row.shape[1]


def _touched_gradient_fake(
    grad: torch.Tensor, row: torch.Tensor, share: torch.Tensor | None, rows: int
) -> tuple[torch.Tensor, torch.Tensor]:
    most = most_touched(row.numel(), rows)
    return row.new_empty(most), grad.new_empty(most, grad.shape[1])


_ROW_LOOKUP = define(
    "row_lookup",
    "row_lookup(Tensor table, Tensor row, Tensor? share) -> Tensor",
    lambda table, row, share: table.new_empty(row.shape[0], table.shape[1]),
    _cost,
)
_SHARE_GRADIENT = define(
    "row_lookup",
    "row_lookup_share_gradient(Tensor grad, Tensor table, Tensor row) -> Tensor",
    lambda grad, table, row: grad.new_empty(row.shape),
    _share_gradient_cost,
)
_TABLE_GRADIENT = define(
    "row_lookup",
    "row_lookup_table_gradient(Tensor grad, Tensor row, Tensor? share, SymInt rows) -> Tensor",
    lambda grad, row, share, rows: grad.new_empty(rows, grad.shape[1]),
    _table_gradient_cost,
)
_TOUCHED_GRADIENT = define(
    "row_lookup",
    "row_lookup_touched_gradient(Tensor grad, Tensor row, Tensor? share, SymInt rows) -> (Tensor, Tensor)",
    _touched_gradient_fake,
    _touched_gradient_cost,
)

Gradients = tuple[torch.Tensor | None, ...]


class _BackendContext(Context, Protocol):
    backend: str


def _save(ctx: _BackendContext, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
    ctx.save_for_backward(*inputs[:3])
    ctx.backend = inputs[-1]


# The lookup is linear in table and share, so that the gradients of all three operations are again the three.


def _lookup_backward(ctx: _BackendContext, grad: torch.Tensor) -> Gradients:
    table, row, share = ctx.saved_tensors
    needs_table, _, needs_share = ctx.needs_input_grad[:3]
    to_table = _TABLE_GRADIENT(grad, row, share, table.shape[0], ctx.backend) if needs_table else None
    to_share = _SHARE_GRADIENT(grad, table, row, ctx.backend) if needs_share else None
    return to_table, None, to_share, None


def _share_gradient_backward(ctx: _BackendContext, second: torch.Tensor) -> Gradients:
    grad, table, row = ctx.saved_tensors
    needs_grad, needs_table = ctx.needs_input_grad[:2]
    to_grad = _ROW_LOOKUP(table, row, second, ctx.backend) if needs_grad else None
    to_table = _TABLE_GRADIENT(grad, row, second, table.shape[0], ctx.backend) if needs_table else None
    return to_grad, to_table, None, None


def _table_gradient_backward(ctx: _BackendContext, second: torch.Tensor) -> Gradients:
    grad, row, share = ctx.saved_tensors
    needs_grad, _, needs_share = ctx.needs_input_grad[:3]
    to_grad = _ROW_LOOKUP(second, row, share, ctx.backend) if needs_grad else None
    to_share = _SHARE_GRADIENT(grad, second, row, ctx.backend) if needs_share else None
    return to_grad, None, to_share, None, None


differentiate(_ROW_LOOKUP, _lookup_backward, _save)
differentiate(_SHARE_GRADIENT, _share_gradient_backward, _save)
differentiate(_TABLE_GRADIENT, _table_gradient_backward, _save)
