"""leaf_linear as torch operations: the product, and its gradients to tokens and to matrices."""

import torch

from capratio.cost import op_formulas
from capratio.cost.operation import OperationCost
from capratio.kernels.backends import AUTO
from capratio.kernels.definition import define
from capratio.kernels.product import Product, differentiate_product


def leaf_linear(x: torch.Tensor, weight: torch.Tensor, node: torch.Tensor, backend: str = AUTO) -> torch.Tensor:
    """Multiply every token by the matrix of its node, y_n = weight[node_n] x_n.

    Args: x: (N, p). weight: (R, q, p). node: (N,) int64, rows of ``weight``. backend: one of
    ``capratio.kernels.backends.NAMES``.

    Returns (N, q). Differentiable in x and weight; the gradient of weight is dense.

    Raises InputError for a backend that is not known or cannot run where x lies.
    """
    out: torch.Tensor = _PRODUCT.forward(x, weight, node, backend)
    return out


def leaf_linear_input_gradient(
    grad: torch.Tensor, weight: torch.Tensor, node: torch.Tensor, backend: str = AUTO
) -> torch.Tensor:
    """The gradient of leaf_linear to x, dx_n = weight[node_n]^T dy_n: (N, q), (R, q, p), (N,) -> (N, p)."""
    out: torch.Tensor = _PRODUCT.input_gradient(grad, weight, node, backend)
    return out


def leaf_linear_weight_gradient(
    grad: torch.Tensor, x: torch.Tensor, node: torch.Tensor, rows: int, backend: str = AUTO
) -> torch.Tensor:
    """The gradient of leaf_linear to weight, dW[r] = sum of dy_n x_n^T over node_n = r: -> (rows, q, p), dense."""
    out: torch.Tensor = _PRODUCT.weight_gradient(grad, x, node, rows, backend)
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


_PRODUCT = Product(
    define(
        "leaf_linear",
        "leaf_linear(Tensor x, Tensor weight, Tensor node) -> Tensor",
        lambda x, weight, node: x.new_empty(x.shape[0], weight.shape[1]),
        _cost,
    ),
    define(
        "leaf_linear",
        "leaf_linear_input_gradient(Tensor grad, Tensor weight, Tensor node) -> Tensor",
        lambda grad, weight, node: grad.new_empty(grad.shape[0], weight.shape[2]),
        _input_gradient_cost,
    ),
    define(
        "leaf_linear",
        "leaf_linear_weight_gradient(Tensor grad, Tensor x, Tensor node, SymInt rows) -> Tensor",
        lambda grad, x, node, rows: grad.new_empty(rows, grad.shape[1], x.shape[1]),
        _weight_gradient_cost,
    ),
)
differentiate_product(_PRODUCT)
