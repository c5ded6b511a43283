"""leaf_linear as torch operations: three products of which each is the gradient of the others.

Each is linear in both of its tensors, so the gradients of all three are again the three, and derivatives of every order
follow.
"""

import torch

from capratio.cost import op_formulas
from capratio.cost.operation import OperationCost
from capratio.kernels.definition import Context, define, differentiate
from capratio.kernels.leaf_linear import reference


def leaf_linear(x: torch.Tensor, weight: torch.Tensor, node: torch.Tensor) -> torch.Tensor:
    """Multiply every token by the matrix of its node, y_n = weight[node_n] x_n.

    Args: x: (N, p). weight: (R, q, p). node: (N,) int64, rows of ``weight``.

    Returns (N, q). Differentiable in x and weight; the gradient of weight is dense.
    """
    out: torch.Tensor = _LEAF_LINEAR(x, weight, node)
    return out


def leaf_linear_input_gradient(grad: torch.Tensor, weight: torch.Tensor, node: torch.Tensor) -> torch.Tensor:
    """The gradient of leaf_linear to x, dx_n = weight[node_n]^T dy_n: (N, q), (R, q, p), (N,) -> (N, p)."""
    out: torch.Tensor = _INPUT_GRADIENT(grad, weight, node)
    return out


def leaf_linear_weight_gradient(grad: torch.Tensor, x: torch.Tensor, node: torch.Tensor, rows: int) -> torch.Tensor:
    """The gradient of leaf_linear to weight, dW[r] = sum of dy_n x_n^T over node_n = r: -> (rows, q, p), dense."""
    out: torch.Tensor = _WEIGHT_GRADIENT(grad, x, node, rows)
    return out


def _cost(x: torch.Tensor, weight: torch.Tensor, node: torch.Tensor, *, out_val: object) -> OperationCost:
    _, q, p = weight.shape
    return op_formulas.leaf_linear(len(x), p, q, visited=_visited(node), itemsize=x.itemsize)


def _input_gradient_cost(
    grad: torch.Tensor, weight: torch.Tensor, node: torch.Tensor, *, out_val: object
) -> OperationCost:
    _, q, p = weight.shape
    return op_formulas.leaf_linear_input_gradient(len(grad), p, q, visited=_visited(node), itemsize=grad.itemsize)


def _weight_gradient_cost(
    grad: torch.Tensor, x: torch.Tensor, node: torch.Tensor, rows: int, *, out_val: object
) -> OperationCost:
    (tokens, p), q = x.shape, grad.shape[1]
    return op_formulas.leaf_linear_weight_gradient(tokens, p, q, visited=_visited(node), rows=rows, itemsize=x.itemsize)


def _visited(node: torch.Tensor) -> int:
    visited: int = torch.unique(node).numel()
    return visited


_LEAF_LINEAR = define(
    "leaf_linear(Tensor x, Tensor weight, Tensor node) -> Tensor",
    reference.leaf_linear,
    lambda x, weight, node: x.new_empty(x.shape[0], weight.shape[1]),
    _cost,
)
_INPUT_GRADIENT = define(
    "leaf_linear_input_gradient(Tensor grad, Tensor weight, Tensor node) -> Tensor",
    reference.leaf_linear_input_gradient,
    lambda grad, weight, node: grad.new_empty(grad.shape[0], weight.shape[2]),
    _input_gradient_cost,
)
_WEIGHT_GRADIENT = define(
    "leaf_linear_weight_gradient(Tensor grad, Tensor x, Tensor node, SymInt rows) -> Tensor",
    reference.leaf_linear_weight_gradient,
    lambda grad, x, node, rows: grad.new_empty(rows, grad.shape[1], x.shape[1]),
    _weight_gradient_cost,
)


def _save(ctx: Context, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
    ctx.save_for_backward(*inputs[:3])


def _backward(ctx: Context, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
    x, weight, node = ctx.saved_tensors
    needs_x, needs_weight, _ = ctx.needs_input_grad
    return (
        leaf_linear_input_gradient(grad, weight, node) if needs_x else None,
        leaf_linear_weight_gradient(grad, x, node, weight.shape[0]) if needs_weight else None,
        None,
    )


def _input_gradient_backward(ctx: Context, second: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
    grad, weight, node = ctx.saved_tensors
    needs_grad, needs_weight, _ = ctx.needs_input_grad
    return (
        leaf_linear(second, weight, node) if needs_grad else None,
        leaf_linear_weight_gradient(grad, second, node, weight.shape[0]) if needs_weight else None,
        None,
    )


def _weight_gradient_backward(ctx: Context, second: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
    grad, x, node = ctx.saved_tensors
    needs_grad, needs_x, _, _ = ctx.needs_input_grad
    return (
        leaf_linear(x, second, node) if needs_grad else None,
        leaf_linear_input_gradient(grad, second, node) if needs_x else None,
        None,
        None,
    )


differentiate(_LEAF_LINEAR, _backward, _save)
differentiate(_INPUT_GRADIENT, _input_gradient_backward, _save)
differentiate(_WEIGHT_GRADIENT, _weight_gradient_backward, _save)
