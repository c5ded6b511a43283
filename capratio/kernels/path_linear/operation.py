"""path_linear as torch operations: the product, and its gradients to tokens and to nodes, all in the same order."""

from collections.abc import Sequence

import torch

from capratio.cost import op_formulas
from capratio.cost.operation import OperationCost
from capratio.cost.spec import DENSE_GRADIENT
from capratio.kernels.backends import AUTO
from capratio.kernels.definition import define
from capratio.kernels.leaf_index.reference import leaf_index
from capratio.kernels.path_linear.ordering import forms_in_tiles, resolve_order
from capratio.kernels.product import Product, differentiate_product
from capratio.kernels.shape_check import check_nodes, check_shapes
from capratio.kernels.touched_rows import most_touched


def path_linear(
    x: torch.Tensor,
    weight: torch.Tensor,
    bits: torch.Tensor,
    order: str = AUTO,
    backend: str = AUTO,
    weight_gradient: str = DENSE_GRADIENT,
) -> torch.Tensor:
    """Multiply every token by the sum of its path's matrices, y_n = (sum over l = 0..k of weight[node_l]) x_n.

    Args: x: (N, p). weight: (2^(k+1) - 1, q, p), level order. bits: (N, k) bool. order: ``leaves`` forms each visited
    leaf's matrix anew, ``prefixes`` forms shared prefixes once, ``nodes`` applies every node and adds outputs, ``auto``
    takes the one of least roofline time for N on that backend. backend: one of ``capratio.kernels.backends.NAMES``.
    weight_gradient: ``dense``, or ``touched``: of the visited nodes, sparse and coalesced.

    Returns (N, q). Differentiable in x and weight.

    Raises InputError for shapes or dtypes that do not fit one another, another order, a backend that is not known or
    cannot run where x lies, an unknown weight_gradient, or a ``touched`` one that is compiled or differentiated twice.

    Source: Cho & Bengio 2014, arXiv 1406.7362, our reading.
    """
    check_shapes("path_linear", (("x", x, "Np"), ("weight", weight, "Rqp")), ("bits", bits, "Nk"), torch.bool)
    check_nodes("path_linear", "weight", len(weight), bits.shape[1] + 1)
    return _PRODUCT.apply(x, weight, bits, order, backend, table=weight, weight_gradient=weight_gradient)


def path_linear_input_gradient(
    grad: torch.Tensor, weight: torch.Tensor, bits: torch.Tensor, order: str = AUTO, backend: str = AUTO
) -> torch.Tensor:
    """The gradient of path_linear to x, the path's matrices formed or applied again: -> (N, p)."""
    numbers = (("grad", grad, "Nq"), ("weight", weight, "Rqp"))
    check_shapes("path_linear_input_gradient", numbers, ("bits", bits, "Nk"), torch.bool)
    check_nodes("path_linear_input_gradient", "weight", len(weight), bits.shape[1] + 1)
    out: torch.Tensor = _PRODUCT.input_gradient(grad, weight, bits, order, backend)
    return out


def path_linear_weight_gradient(
    grad: torch.Tensor, x: torch.Tensor, bits: torch.Tensor, rows: int, order: str = AUTO, backend: str = AUTO
) -> torch.Tensor:
    """The gradient of path_linear to weight, dW[node_l] += dy_n x_n^T: -> (rows, q, p), dense; rows is 2^(k+1) - 1."""
    numbers = (("grad", grad, "Nq"), ("x", x, "Np"))
    check_shapes("path_linear_weight_gradient", numbers, ("bits", bits, "Nk"), torch.bool)
    check_nodes("path_linear_weight_gradient", "a gradient", rows, bits.shape[1] + 1)
    out: torch.Tensor = _PRODUCT.weight_gradient(grad, x, bits, rows, order, backend)
    return out


def path_linear_touched_gradient(
    grad: torch.Tensor, x: torch.Tensor, bits: torch.Tensor, rows: int, order: str = AUTO, backend: str = AUTO
) -> tuple[torch.Tensor, torch.Tensor]:
    """The nodes that path_linear visits, ascending, and their gradients: -> (M,), (M, q, p), M = min(N (k + 1), rows).

    Behind those that are visited, rows have the index ``rows`` and are zero.
    """
    numbers = (("grad", grad, "Nq"), ("x", x, "Np"))
    check_shapes("path_linear_touched_gradient", numbers, ("bits", bits, "Nk"), torch.bool)
    check_nodes("path_linear_touched_gradient", "a gradient", rows, bits.shape[1] + 1)
    indices, values = _PRODUCT.touched_gradient(grad, x, bits, rows, order, backend)
    return indices, values


def _cost(x: torch.Tensor, weight: torch.Tensor, bits: torch.Tensor, order: str, *, backend: str) -> OperationCost:
    tokens, p, q, depth, order = _sizes(x, weight.shape, bits, order, backend)
    return op_formulas.path_linear(tokens, p, q, depth, *_visited(bits), order, itemsize=x.itemsize)


def _input_gradient_cost(
    grad: torch.Tensor, weight: torch.Tensor, bits: torch.Tensor, order: str, *, backend: str
) -> OperationCost:
    tokens, p, q, depth, order = _sizes(grad, weight.shape, bits, order, backend)
    return op_formulas.path_linear_input_gradient(tokens, p, q, depth, *_visited(bits), order, itemsize=grad.itemsize)


def _weight_gradient_cost(
    grad: torch.Tensor, x: torch.Tensor, bits: torch.Tensor, rows: int, order: str, *, backend: str
) -> OperationCost:
    tokens, p, q, depth, order = _sizes(x, (rows, grad.shape[1], x.shape[1]), bits, order, backend)
    return op_formulas.path_linear_weight_gradient(tokens, p, q, depth, *_visited(bits), order, itemsize=x.itemsize)


def _touched_gradient_cost(
    grad: torch.Tensor, x: torch.Tensor, bits: torch.Tensor, rows: int, order: str, *, backend: str
) -> OperationCost:
    tokens, p, q, depth, order = _sizes(x, (rows, grad.shape[1], x.shape[1]), bits, order, backend)
    return op_formulas.path_linear_touched_gradient(tokens, p, q, depth, *_visited(bits), order, itemsize=x.itemsize)


def _touched_gradient_fake(
    grad: torch.Tensor, x: torch.Tensor, bits: torch.Tensor, rows: int, order: str
) -> tuple[torch.Tensor, torch.Tensor]:
    tokens, depth = bits.shape
    most = most_touched(tokens * (depth + 1), rows)
    return bits.new_empty(most, dtype=torch.int64), grad.new_empty(most, grad.shape[1], x.shape[1])


def _sizes(
    like: torch.Tensor, table: Sequence[int], bits: torch.Tensor, order: str, backend: str
) -> tuple[int, int, int, int, str]:
    """N, p, q, k and the order that runs, for a table (2^(k+1) - 1, q, p) of the dtype and device of ``like``."""
    (tokens, depth), (_, q, p) = bits.shape, table
    tiled = forms_in_tiles(backend, like)
    return tokens, p, q, depth, resolve_order(order, tokens, p, q, depth, like.itemsize, tiled=tiled)


def _visited(bits: torch.Tensor) -> tuple[int, int]:
    """Visited leaves, and visited nodes without the root."""
    depth = bits.shape[1]
    leaves = torch.unique(leaf_index(bits))
    below_root = sum(torch.unique(leaves >> shift).numel() for shift in range(depth))
    return leaves.numel(), below_root


_PRODUCT = Product(
    define(
        "path_linear",
        "path_linear(Tensor x, Tensor weight, Tensor bits, str order) -> Tensor",
        lambda x, weight, bits, order: x.new_empty(x.shape[0], weight.shape[1]),
        _cost,
    ),
    define(
        "path_linear",
        "path_linear_input_gradient(Tensor grad, Tensor weight, Tensor bits, str order) -> Tensor",
        lambda grad, weight, bits, order: grad.new_empty(grad.shape[0], weight.shape[2]),
        _input_gradient_cost,
    ),
    define(
        "path_linear",
        "path_linear_weight_gradient(Tensor grad, Tensor x, Tensor bits, SymInt rows, str order) -> Tensor",
        lambda grad, x, bits, rows, order: grad.new_empty(rows, grad.shape[1], x.shape[1]),
        _weight_gradient_cost,
    ),
    define(
        "path_linear",
        "path_linear_touched_gradient(Tensor grad, Tensor x, Tensor bits, SymInt rows, str order) -> (Tensor, Tensor)",
        _touched_gradient_fake,
        _touched_gradient_cost,
    ),
)
differentiate_product(_PRODUCT)
