"""path_linear as torch operations: three products of which each is the gradient of the others.

Each is linear in both of its tensors, so the gradients of all three are again the three, in the same order, and
derivatives of every order follow.
"""

from typing import Any, Protocol

import torch

from capratio.cost import op_formulas
from capratio.cost.operation import OperationCost
from capratio.kernels.definition import Context, define, differentiate
from capratio.kernels.path_linear import reference
from capratio.kernels.path_linear.ordering import resolve_order
from capratio.kernels.routing import leaf_index


def path_linear(x: torch.Tensor, weight: torch.Tensor, bits: torch.Tensor, order: str) -> torch.Tensor:
    """Multiply every token by the sum of its path's matrices, y_n = (sum over l = 0..k of weight[node_l]) x_n.

    Args: x: (N, p). weight: (2^(k+1) - 1, q, p), level order. bits: (N, k) bool. order: ``leaves`` forms each visited
    leaf's matrix anew, ``prefixes`` forms shared prefixes once, ``nodes`` applies every node and adds outputs, ``auto``
    takes the one of least roofline time for N.

    Returns (N, q). Differentiable in x and weight; the gradient of weight is dense.

    Raises InputError for another order.

    Source: Cho & Bengio 2014, arXiv 1406.7362, our reading.
    """
    out: torch.Tensor = _PATH_LINEAR(x, weight, bits, order)
    return out


def path_linear_input_gradient(
    grad: torch.Tensor, weight: torch.Tensor, bits: torch.Tensor, order: str
) -> torch.Tensor:
    """The gradient of path_linear to x, the path's matrices formed or applied again: -> (N, p)."""
    out: torch.Tensor = _INPUT_GRADIENT(grad, weight, bits, order)
    return out


def path_linear_weight_gradient(grad: torch.Tensor, x: torch.Tensor, bits: torch.Tensor, order: str) -> torch.Tensor:
    """The gradient of path_linear to weight, dW[node_l] += dy_n x_n^T: -> (2^(k+1) - 1, q, p), dense."""
    out: torch.Tensor = _WEIGHT_GRADIENT(grad, x, bits, order)
    return out


def _cost(x: torch.Tensor, weight: torch.Tensor, bits: torch.Tensor, order: str, *, out_val: object) -> OperationCost:
    _, q, p = weight.shape
    tokens, depth = bits.shape
    order = resolve_order(order, tokens, p, q, depth, x.itemsize)
    return op_formulas.path_linear(tokens, p, q, depth, *_visited(bits), order, itemsize=x.itemsize)


def _input_gradient_cost(
    grad: torch.Tensor, weight: torch.Tensor, bits: torch.Tensor, order: str, *, out_val: object
) -> OperationCost:
    _, q, p = weight.shape
    tokens, depth = bits.shape
    order = resolve_order(order, tokens, p, q, depth, grad.itemsize)
    return op_formulas.path_linear_input_gradient(tokens, p, q, depth, *_visited(bits), order, itemsize=grad.itemsize)


def _weight_gradient_cost(
    grad: torch.Tensor, x: torch.Tensor, bits: torch.Tensor, order: str, *, out_val: object
) -> OperationCost:
    (tokens, depth), p, q = bits.shape, x.shape[1], grad.shape[1]
    order = resolve_order(order, tokens, p, q, depth, x.itemsize)
    return op_formulas.path_linear_weight_gradient(tokens, p, q, depth, *_visited(bits), order, itemsize=x.itemsize)


def _visited(bits: torch.Tensor) -> tuple[int, int]:
    """Visited leaves, and visited nodes without the root."""
    depth = bits.shape[1]
    leaves = torch.unique(leaf_index(bits))
    below_root = sum(torch.unique(leaves >> shift).numel() for shift in range(depth))
    return leaves.numel(), below_root


_PATH_LINEAR = define(
    "path_linear(Tensor x, Tensor weight, Tensor bits, str order) -> Tensor",
    reference.path_linear,
    lambda x, weight, bits, order: x.new_empty(x.shape[0], weight.shape[1]),
    _cost,
)
_INPUT_GRADIENT = define(
    "path_linear_input_gradient(Tensor grad, Tensor weight, Tensor bits, str order) -> Tensor",
    reference.path_linear_input_gradient,
    lambda grad, weight, bits, order: grad.new_empty(grad.shape[0], weight.shape[2]),
    _input_gradient_cost,
)
_WEIGHT_GRADIENT = define(
    "path_linear_weight_gradient(Tensor grad, Tensor x, Tensor bits, str order) -> Tensor",
    reference.path_linear_weight_gradient,
    lambda grad, x, bits, order: grad.new_empty(2 ** (bits.shape[1] + 1) - 1, grad.shape[1], x.shape[1]),
    _weight_gradient_cost,
)


class _OrderContext(Context, Protocol):
    order: str


def _save(ctx: _OrderContext, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
    *tensors, ctx.order = inputs
    ctx.save_for_backward(*tensors)


def _backward(ctx: _OrderContext, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
    x, weight, bits = ctx.saved_tensors
    needs_x, needs_weight, _, _ = ctx.needs_input_grad
    return (
        path_linear_input_gradient(grad, weight, bits, ctx.order) if needs_x else None,
        path_linear_weight_gradient(grad, x, bits, ctx.order) if needs_weight else None,
        None,
        None,
    )


def _input_gradient_backward(ctx: _OrderContext, second: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
    grad, weight, bits = ctx.saved_tensors
    needs_grad, needs_weight, _, _ = ctx.needs_input_grad
    return (
        path_linear(second, weight, bits, ctx.order) if needs_grad else None,
        path_linear_weight_gradient(grad, second, bits, ctx.order) if needs_weight else None,
        None,
        None,
    )


def _weight_gradient_backward(ctx: _OrderContext, second: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
    grad, x, bits = ctx.saved_tensors
    needs_grad, needs_x, _, _ = ctx.needs_input_grad
    return (
        path_linear(x, second, bits, ctx.order) if needs_grad else None,
        path_linear_input_gradient(grad, second, bits, ctx.order) if needs_x else None,
        None,
        None,
    )


differentiate(_PATH_LINEAR, _backward, _save)
differentiate(_INPUT_GRADIENT, _input_gradient_backward, _save)
differentiate(_WEIGHT_GRADIENT, _weight_gradient_backward, _save)
