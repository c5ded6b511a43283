"""leaf_linear as torch operations: the product, with a bias or without, and its gradients to tokens and to matrices."""

from typing import Any, Protocol

import torch

from capratio.cost import op_formulas
from capratio.cost.flop import Flop
from capratio.cost.operation import OperationCost
from capratio.cost.spec import DENSE_GRADIENT
from capratio.kernels.backends import AUTO
from capratio.kernels.definition import Context, define, differentiate
from capratio.kernels.product import Product, differentiate_product
from capratio.kernels.shape_check import Named, check_shapes
from capratio.kernels.touched_gradient import wants_touched
from capratio.kernels.touched_rows import most_touched


def leaf_linear(
    x: torch.Tensor,
    weight: torch.Tensor,
    node: torch.Tensor,
    backend: str = AUTO,
    weight_gradient: str = DENSE_GRADIENT,
    bias: torch.Tensor | None = None,
) -> torch.Tensor:
    """Multiply every token by the matrix of its node, y_n = weight[node_n] x_n, or that plus a bias.

    Args: x: (N, p). weight: (R, q, p). node: (N,) int64, rows of ``weight``. backend: one of
    ``capratio.kernels.backends.NAMES``. weight_gradient: ``dense``, or ``touched``: of the visited rows, sparse and
    coalesced. bias: (q,), which kernels add where sums are stored, so that outputs are written once.

    Returns (N, q). Differentiable in x, weight and bias.

    Raises InputError for shapes or dtypes that do not fit one another, a backend that is not known or cannot run where
    x lies, an unknown weight_gradient, or a ``touched`` one that is compiled or differentiated twice.
    """
    numbers: tuple[Named, ...] = (("x", x, "Np"), ("weight", weight, "Rqp"))
    if bias is not None:
        numbers = (*numbers, ("bias", bias, "q"))
    check_shapes("leaf_linear", numbers, ("node", node, "N"), torch.int64)
    if bias is not None and not wants_touched(weight_gradient, weight):
        biased: torch.Tensor = _BIASED(x, weight, node, bias, backend)
        return biased
    out = _PRODUCT.apply(x, weight, node, backend, table=weight, weight_gradient=weight_gradient)
    return out if bias is None else out.add_(bias)


def leaf_linear_input_gradient(
    grad: torch.Tensor, weight: torch.Tensor, node: torch.Tensor, backend: str = AUTO
) -> torch.Tensor:
    """The gradient of leaf_linear to x, dx_n = weight[node_n]^T dy_n: (N, q), (R, q, p), (N,) -> (N, p)."""
    numbers = (("grad", grad, "Nq"), ("weight", weight, "Rqp"))
    check_shapes("leaf_linear_input_gradient", numbers, ("node", node, "N"), torch.int64)
    out: torch.Tensor = _PRODUCT.input_gradient(grad, weight, node, backend)
    return out


def leaf_linear_weight_gradient(
    grad: torch.Tensor, x: torch.Tensor, node: torch.Tensor, rows: int, backend: str = AUTO
) -> torch.Tensor:
    """The gradient of leaf_linear to weight, dW[r] = sum of dy_n x_n^T over node_n = r: -> (rows, q, p), dense."""
    numbers = (("grad", grad, "Nq"), ("x", x, "Np"))
    check_shapes("leaf_linear_weight_gradient", numbers, ("node", node, "N"), torch.int64)
    out: torch.Tensor = _PRODUCT.weight_gradient(grad, x, node, rows, backend)
    return out


def leaf_linear_touched_gradient(
    grad: torch.Tensor, x: torch.Tensor, node: torch.Tensor, rows: int, backend: str = AUTO
) -> tuple[torch.Tensor, torch.Tensor]:
    """The rows that leaf_linear visits, ascending, and their gradients: -> (M,), (M, q, p), M = min(N, rows).

    Behind those that are visited, rows have the index ``rows`` and are zero.
    """
    numbers = (("grad", grad, "Nq"), ("x", x, "Np"))
    check_shapes("leaf_linear_touched_gradient", numbers, ("node", node, "N"), torch.int64)
    indices, values = _PRODUCT.touched_gradient(grad, x, node, rows, backend)
    return indices, values


def _cost(x: torch.Tensor, weight: torch.Tensor, node: torch.Tensor, *, backend: str) -> OperationCost:
    _, q, p = weight.shape
    return op_formulas.leaf_linear(len(x), p, q, visited=_visited(node), itemsize=x.itemsize)


def _biased_cost(
    x: torch.Tensor, weight: torch.Tensor, node: torch.Tensor, bias: torch.Tensor, *, backend: str
) -> OperationCost:
    outputs = len(x) * len(bias)
    # As a bias that is added in place.
    added = OperationCost(
        Flop(bias=outputs),
        read_bytes=(outputs + len(bias)) * x.itemsize,
        written_bytes=outputs * x.itemsize,
    )
    return _cost(x, weight, node, backend=backend) + added


def _input_gradient_cost(
    grad: torch.Tensor, weight: torch.Tensor, node: torch.Tensor, *, backend: str
) -> OperationCost:
    _, q, p = weight.shape
    return op_formulas.leaf_linear_input_gradient(len(grad), p, q, visited=_visited(node), itemsize=grad.itemsize)


def _weight_gradient_cost(
    grad: torch.Tensor, x: torch.Tensor, node: torch.Tensor, rows: int, *, backend: str
) -> OperationCost:
    (tokens, p), q = x.shape, grad.shape[1]
    return op_formulas.leaf_linear_weight_gradient(tokens, p, q, visited=_visited(node), rows=rows, itemsize=x.itemsize)


def _touched_gradient_cost(
    grad: torch.Tensor, x: torch.Tensor, node: torch.Tensor, rows: int, *, backend: str
) -> OperationCost:
    (tokens, p), q = x.shape, grad.shape[1]
    return op_formulas.leaf_linear_touched_gradient(
        tokens, p, q, visited=_visited(node), rows=rows, itemsize=x.itemsize
    )


def _touched_gradient_fake(
    grad: torch.Tensor, x: torch.Tensor, node: torch.Tensor, rows: int
) -> tuple[torch.Tensor, torch.Tensor]:
    most = most_touched(node.shape[0], rows)
    return node.new_empty(most), grad.new_empty(most, grad.shape[1], x.shape[1])


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
    define(
        "leaf_linear",
        "leaf_linear_touched_gradient(Tensor grad, Tensor x, Tensor node, SymInt rows) -> (Tensor, Tensor)",
        _touched_gradient_fake,
        _touched_gradient_cost,
    ),
)
differentiate_product(_PRODUCT)

_BIASED = define(
    "leaf_linear",
    "leaf_linear_bias(Tensor x, Tensor weight, Tensor node, Tensor bias) -> Tensor",
    lambda x, weight, node, bias: x.new_empty(x.shape[0], weight.shape[1]),
    _biased_cost,
)


class _BackendContext(Context, Protocol):
    backend: str


def _save(ctx: _BackendContext, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
    x, weight, node, _, ctx.backend = inputs
    ctx.save_for_backward(x, weight, node)


def _backward(ctx: _BackendContext, dy: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
    x, weight, node = ctx.saved_tensors
    needs_x, needs_weight, _, needs_bias, _ = ctx.needs_input_grad
    dx = leaf_linear_input_gradient(dy, weight, node, ctx.backend) if needs_x else None
    dweight = leaf_linear_weight_gradient(dy, x, node, len(weight), ctx.backend) if needs_weight else None
    return dx, dweight, None, dy.sum(0) if needs_bias else None, None


differentiate(_BIASED, _backward, _save)
