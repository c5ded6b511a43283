"""unit_lookup as torch operations: three products of which each is the gradient of the others.

Each is linear in both of its tensors, so the gradients of all three are again the three, and derivatives of every order
follow.
"""

import torch

from capratio.cost import op_formulas
from capratio.cost.operation import OperationCost
from capratio.kernels.definition import Context, define, differentiate
from capratio.kernels.unit_lookup import reference


def unit_lookup(x: torch.Tensor, table: torch.Tensor, node: torch.Tensor) -> torch.Tensor:
    """Add up the input units' vectors, y_n = sum over j of x_nj (sum over m of table[node_njm]).

    Args: x: (N, p). table: (rows, q). node: (N, p, m) int64, rows of ``table``: the m nodes of unit j for token n.

    Returns (N, q). Differentiable in x and table; the gradient of table is dense.

    Source: Cho & Bengio 2014, arXiv 1406.7362, our reading.
    """
    out: torch.Tensor = _UNIT_LOOKUP(x, table, node)
    return out


def unit_lookup_input_gradient(grad: torch.Tensor, table: torch.Tensor, node: torch.Tensor) -> torch.Tensor:
    """The gradient of unit_lookup to x, dx_nj = (sum over m of table[node_njm]) . dy_n: -> (N, p)."""
    out: torch.Tensor = _INPUT_GRADIENT(grad, table, node)
    return out


def unit_lookup_weight_gradient(grad: torch.Tensor, x: torch.Tensor, node: torch.Tensor, rows: int) -> torch.Tensor:
    """The gradient of unit_lookup to table, dtable[node_njm] += x_nj dy_n: -> (rows, q), dense."""
    out: torch.Tensor = _WEIGHT_GRADIENT(grad, x, node, rows)
    return out


def _cost(x: torch.Tensor, table: torch.Tensor, node: torch.Tensor, *, out_val: object) -> OperationCost:
    tokens, p, nodes = node.shape
    return op_formulas.unit_lookup(tokens, p, table.shape[1], nodes, itemsize=x.itemsize)


def _input_gradient_cost(
    grad: torch.Tensor, table: torch.Tensor, node: torch.Tensor, *, out_val: object
) -> OperationCost:
    tokens, p, nodes = node.shape
    return op_formulas.unit_lookup_input_gradient(tokens, p, table.shape[1], nodes, itemsize=grad.itemsize)


def _weight_gradient_cost(
    grad: torch.Tensor, x: torch.Tensor, node: torch.Tensor, rows: int, *, out_val: object
) -> OperationCost:
    tokens, p, nodes = node.shape
    return op_formulas.unit_lookup_weight_gradient(tokens, p, grad.shape[1], nodes, rows=rows, itemsize=x.itemsize)


_UNIT_LOOKUP = define(
    "unit_lookup(Tensor x, Tensor table, Tensor node) -> Tensor",
    reference.unit_lookup,
    lambda x, table, node: x.new_empty(x.shape[0], table.shape[1]),
    _cost,
)
_INPUT_GRADIENT = define(
    "unit_lookup_input_gradient(Tensor grad, Tensor table, Tensor node) -> Tensor",
    reference.unit_lookup_input_gradient,
    lambda grad, table, node: grad.new_empty(node.shape[0], node.shape[1]),
    _input_gradient_cost,
)
_WEIGHT_GRADIENT = define(
    "unit_lookup_weight_gradient(Tensor grad, Tensor x, Tensor node, SymInt rows) -> Tensor",
    reference.unit_lookup_weight_gradient,
    lambda grad, x, node, rows: grad.new_empty(rows, grad.shape[1]),
    _weight_gradient_cost,
)


def _save(ctx: Context, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
    ctx.save_for_backward(*inputs[:3])


def _backward(ctx: Context, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
    x, table, node = ctx.saved_tensors
    needs_x, needs_table, _ = ctx.needs_input_grad
    return (
        unit_lookup_input_gradient(grad, table, node) if needs_x else None,
        unit_lookup_weight_gradient(grad, x, node, table.shape[0]) if needs_table else None,
        None,
    )


def _input_gradient_backward(ctx: Context, second: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
    grad, table, node = ctx.saved_tensors
    needs_grad, needs_table, _ = ctx.needs_input_grad
    return (
        unit_lookup(second, table, node) if needs_grad else None,
        unit_lookup_weight_gradient(grad, second, node, table.shape[0]) if needs_table else None,
        None,
    )


def _weight_gradient_backward(ctx: Context, second: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
    grad, x, node = ctx.saved_tensors
    needs_grad, needs_x, _, _ = ctx.needs_input_grad
    return (
        unit_lookup(x, second, node) if needs_grad else None,
        unit_lookup_input_gradient(grad, second, node) if needs_x else None,
        None,
        None,
    )


differentiate(_UNIT_LOOKUP, _backward, _save)
differentiate(_INPUT_GRADIENT, _input_gradient_backward, _save)
differentiate(_WEIGHT_GRADIENT, _weight_gradient_backward, _save)
