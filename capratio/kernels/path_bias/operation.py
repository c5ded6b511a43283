"""path_bias as torch operations: a sum over a path and its gradient, of which each is the gradient of the other."""

from typing import Any, Protocol

import torch

from capratio.cost import op_formulas
from capratio.cost.operation import OperationCost
from capratio.cost.spec import DENSE_GRADIENT
from capratio.errors import InputError
from capratio.kernels.backends import AUTO
from capratio.kernels.definition import Context, define, differentiate
from capratio.kernels.shape_check import check_nodes, check_shapes
from capratio.kernels.touched_gradient import wants_touched, with_touched_gradient
from capratio.kernels.touched_rows import most_touched


def path_bias(
    base: torch.Tensor,
    table: torch.Tensor,
    leaf: torch.Tensor,
    depth: int,
    backend: str = AUTO,
    weight_gradient: str = DENSE_GRADIENT,
) -> torch.Tensor:
    """Add the vectors of each token's path to its base, base_n + sum over l = 0..k of table[node_l].

    Args: base: (N, q). table: (2^(k+1) - 1, q), level order. leaf: (N,) int64 in 0..2^k - 1. depth: k.
    backend: one of ``capratio.kernels.backends.NAMES``. weight_gradient: ``dense``, or ``touched``: of the visited
    nodes, sparse and coalesced.

    Returns (N, q), in base's dtype. Differentiable in base and table.

    Raises InputError for shapes that do not fit one another or the depth, a backend that is not known or cannot run
    where base lies, an unknown weight_gradient, or a ``touched`` one that is compiled or differentiated twice.

    Source: Cho & Bengio 2014, arXiv 1406.7362, our reading of its O(k q) as a bias.
    """
    check_shapes(
        "path_bias", (("base", base, "Nq"), ("table", table, "Rq")), ("leaf", leaf, "N"), torch.int64, one_dtype=False
    )
    check_nodes("path_bias", "table", len(table), depth + 1)
    touched = wants_touched(weight_gradient, table)
    out: torch.Tensor = _PATH_BIAS(base, table.detach() if touched else table, leaf, depth, backend)
    return with_touched_gradient(out, table, _TOUCHED_GRADIENT, (leaf,), (depth, backend)) if touched else out


def add_path_bias(
    base: torch.Tensor, table: torch.Tensor, leaf: torch.Tensor, depth: int, backend: str = AUTO
) -> torch.Tensor:
    """As ``path_bias``, in place of the base, which is returned; for inference.

    Raises InputError where autograd would record it, or as ``path_bias``.
    """
    if torch.is_grad_enabled() and (base.requires_grad or table.requires_grad):
        raise InputError(
            "add_path_bias has no gradient; call it under torch.inference_mode() or torch.no_grad(), or take path_bias."
        )
    check_shapes(
        "add_path_bias",
        (("base", base, "Nq"), ("table", table, "Rq")),
        ("leaf", leaf, "N"),
        torch.int64,
        one_dtype=False,
    )
    check_nodes("add_path_bias", "table", len(table), depth + 1)
    _ADD_PATH_BIAS(base, table, leaf, depth, backend)
    return base


def path_bias_table_gradient(grad: torch.Tensor, leaf: torch.Tensor, depth: int, backend: str = AUTO) -> torch.Tensor:
    """The gradient of path_bias to table, dtable[node_l] += dy_n: -> (2^(k+1) - 1, q), dense."""
    check_shapes("path_bias_table_gradient", (("grad", grad, "Nq"),), ("leaf", leaf, "N"), torch.int64)
    out: torch.Tensor = _TABLE_GRADIENT(grad, leaf, depth, backend)
    return out


def path_bias_touched_gradient(
    grad: torch.Tensor, leaf: torch.Tensor, depth: int, backend: str = AUTO
) -> tuple[torch.Tensor, torch.Tensor]:
    """The nodes that path_bias visits, ascending, and their gradients: -> (M,), (M, q), M = min(N (k + 1), R).

    Behind those that are visited, rows have the index R = 2^(k+1) - 1 and are zero.
    """
    check_shapes("path_bias_touched_gradient", (("grad", grad, "Nq"),), ("leaf", leaf, "N"), torch.int64)
    indices, values = _TOUCHED_GRADIENT(grad, leaf, depth, backend)
    return indices, values


def _cost(base: torch.Tensor, table: torch.Tensor, leaf: torch.Tensor, depth: int, *, backend: str) -> OperationCost:
    return op_formulas.path_bias(base.shape[0], base.shape[1], depth, itemsize=base.itemsize)


def _table_gradient_cost(grad: torch.Tensor, leaf: torch.Tensor, depth: int, *, backend: str) -> OperationCost:
    return op_formulas.path_bias_table_gradient(
        grad.shape[0], grad.shape[1], depth, rows=2 ** (depth + 1) - 1, itemsize=grad.itemsize
    )


def _touched_gradient_cost(grad: torch.Tensor, leaf: torch.Tensor, depth: int, *, backend: str) -> OperationCost:
    return op_formulas.path_bias_touched_gradient(grad.shape[0], grad.shape[1], depth, itemsize=grad.itemsize)


def _touched_gradient_fake(grad: torch.Tensor, leaf: torch.Tensor, depth: int) -> tuple[torch.Tensor, torch.Tensor]:
    most = most_touched(leaf.shape[0] * (depth + 1), 2 ** (depth + 1) - 1)
    return leaf.new_empty(most), grad.new_empty(most, grad.shape[1])


_PATH_BIAS = define(
    "path_bias",
    "path_bias(Tensor base, Tensor table, Tensor leaf, int depth) -> Tensor",
    lambda base, table, leaf, depth: base.new_empty(base.shape),
    _cost,
)
_ADD_PATH_BIAS = define(
    "path_bias",
    "add_path_bias(Tensor(a!) base, Tensor table, Tensor leaf, int depth) -> ()",
    lambda base, table, leaf, depth: None,
    _cost,
)
_TABLE_GRADIENT = define(
    "path_bias",
    "path_bias_table_gradient(Tensor grad, Tensor leaf, int depth) -> Tensor",
    lambda grad, leaf, depth: grad.new_empty(2 ** (depth + 1) - 1, grad.shape[1]),
    _table_gradient_cost,
)
_TOUCHED_GRADIENT = define(
    "path_bias",
    "path_bias_touched_gradient(Tensor grad, Tensor leaf, int depth) -> (Tensor, Tensor)",
    _touched_gradient_fake,
    _touched_gradient_cost,
)


class _DepthContext(Context, Protocol):
    depth: int
    backend: str


def _save(ctx: _DepthContext, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
    *_, leaf, ctx.depth, ctx.backend = inputs
    ctx.save_for_backward(leaf)


def _backward(ctx: _DepthContext, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
    (leaf,) = ctx.saved_tensors
    needs_base, needs_table = ctx.needs_input_grad[:2]
    return (
        grad if needs_base else None,
        path_bias_table_gradient(grad, leaf, ctx.depth, ctx.backend) if needs_table else None,
        None,
        None,
        None,
    )


def _table_gradient_backward(ctx: _DepthContext, second: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
    (leaf,) = ctx.saved_tensors
    base = second.new_zeros(leaf.shape[0], second.shape[1])
    return path_bias(base, second, leaf, ctx.depth, ctx.backend), None, None, None


differentiate(_PATH_BIAS, _backward, _save)
differentiate(_TABLE_GRADIENT, _table_gradient_backward, _save)
