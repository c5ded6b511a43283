"""unit_lookup as torch operations: the sum, and its gradients to units and to rows."""

import torch

from capratio.cost import op_formulas
from capratio.cost.operation import OperationCost
from capratio.cost.spec import DENSE_GRADIENT
from capratio.kernels.backends import AUTO
from capratio.kernels.definition import define
from capratio.kernels.product import Product, differentiate_product
from capratio.kernels.shape_check import check_shapes
from capratio.kernels.touched_rows import most_touched


def unit_lookup(
    x: torch.Tensor,
    table: torch.Tensor,
    node: torch.Tensor,
    backend: str = AUTO,
    weight_gradient: str = DENSE_GRADIENT,
) -> torch.Tensor:
    """Add up the input units' vectors, y_n = sum over j of x_nj (sum over m of table[node_njm]).

    Args: x: (N, p). table: (rows, q), or (p, rows / p, q), whose rows are counted on from unit to unit. node: (N, p, m)
    int64, rows of ``table``: the m nodes of unit j for token n. backend: one of ``capratio.kernels.backends.NAMES``.
    weight_gradient: ``dense``, or ``touched``: of the visited rows, sparse and coalesced.

    Returns (N, q). Differentiable in x and table.

    Raises InputError for shapes or dtypes that do not fit one another, a backend that is not known or cannot run where
    x lies, an unknown weight_gradient, or a ``touched`` one that is compiled or differentiated twice.

    Source: Cho & Bengio 2014, arXiv 1406.7362, our reading.
    """
    rows = table if table.dim() < 2 else table.flatten(0, -2)
    check_shapes("unit_lookup", (("x", x, "Np"), ("table", rows, "Rq")), ("node", node, "Npm"), torch.int64)
    return _PRODUCT.apply(x, rows, node, backend, table=table, weight_gradient=weight_gradient)


def unit_lookup_input_gradient(
    grad: torch.Tensor, table: torch.Tensor, node: torch.Tensor, backend: str = AUTO
) -> torch.Tensor:
    """The gradient of unit_lookup to x, dx_nj = (sum over m of table[node_njm]) . dy_n: -> (N, p)."""
    numbers = (("grad", grad, "Nq"), ("table", table, "Rq"))
    check_shapes("unit_lookup_input_gradient", numbers, ("node", node, "Npm"), torch.int64)
    out: torch.Tensor = _PRODUCT.input_gradient(grad, table, node, backend)
    return out


def unit_lookup_weight_gradient(
    grad: torch.Tensor, x: torch.Tensor, node: torch.Tensor, rows: int, backend: str = AUTO
) -> torch.Tensor:
    """The gradient of unit_lookup to table, dtable[node_njm] += x_nj dy_n: -> (rows, q), dense."""
    numbers = (("grad", grad, "Nq"), ("x", x, "Np"))
    check_shapes("unit_lookup_weight_gradient", numbers, ("node", node, "Npm"), torch.int64)
    out: torch.Tensor = _PRODUCT.weight_gradient(grad, x, node, rows, backend)
    return out


def unit_lookup_touched_gradient(
    grad: torch.Tensor, x: torch.Tensor, node: torch.Tensor, rows: int, backend: str = AUTO
) -> tuple[torch.Tensor, torch.Tensor]:
    """The rows that unit_lookup visits, ascending, and their gradients: -> (M,), (M, q), M = min(N p m, rows).

    Behind those that are visited, rows have the index ``rows`` and are zero.
    """
    numbers = (("grad", grad, "Nq"), ("x", x, "Np"))
    check_shapes("unit_lookup_touched_gradient", numbers, ("node", node, "Npm"), torch.int64)
    indices, values = _PRODUCT.touched_gradient(grad, x, node, rows, backend)
    return indices, values


def _cost(x: torch.Tensor, table: torch.Tensor, node: torch.Tensor, *, backend: str) -> OperationCost:
    tokens, p, nodes = node.shape
    return op_formulas.unit_lookup(tokens, p, table.shape[1], nodes, itemsize=x.itemsize)


def _input_gradient_cost(grad: torch.Tensor, table: torch.Tensor, node: torch.Tensor, *, backend: str) -> OperationCost:
    tokens, p, nodes = node.shape
    return op_formulas.unit_lookup_input_gradient(tokens, p, table.shape[1], nodes, itemsize=grad.itemsize)


def _weight_gradient_cost(
    grad: torch.Tensor, x: torch.Tensor, node: torch.Tensor, rows: int, *, backend: str
) -> OperationCost:
    tokens, p, nodes = node.shape
    return op_formulas.unit_lookup_weight_gradient(tokens, p, grad.shape[1], nodes, rows=rows, itemsize=x.itemsize)


def _touched_gradient_cost(
    grad: torch.Tensor, x: torch.Tensor, node: torch.Tensor, rows: int, *, backend: str
) -> OperationCost:
    tokens, p, nodes = node.shape
    return op_formulas.unit_lookup_touched_gradient(tokens, p, grad.shape[1], nodes, rows=rows, itemsize=x.itemsize)


def _touched_gradient_fake(
    grad: torch.Tensor, x: torch.Tensor, node: torch.Tensor, rows: int
) -> tuple[torch.Tensor, torch.Tensor]:
    most = most_touched(node.numel(), rows)
    return node.new_empty(most), grad.new_empty(most, grad.shape[1])


_PRODUCT = Product(
    define(
        "unit_lookup",
        "unit_lookup(Tensor x, Tensor table, Tensor node) -> Tensor",
        lambda x, table, node: x.new_empty(x.shape[0], table.shape[1]),
        _cost,
    ),
    define(
        "unit_lookup",
        "unit_lookup_input_gradient(Tensor grad, Tensor table, Tensor node) -> Tensor",
        lambda grad, table, node: grad.new_empty(node.shape[0], node.shape[1]),
        _input_gradient_cost,
    ),
    define(
        "unit_lookup",
        "unit_lookup_weight_gradient(Tensor grad, Tensor x, Tensor node, SymInt rows) -> Tensor",
        lambda grad, x, node, rows: grad.new_empty(rows, grad.shape[1]),
        _weight_gradient_cost,
    ),
    define(
        "unit_lookup",
        "unit_lookup_touched_gradient(Tensor grad, Tensor x, Tensor node, SymInt rows) -> (Tensor, Tensor)",
        _touched_gradient_fake,
        _touched_gradient_cost,
    ),
)
differentiate_product(_PRODUCT)
