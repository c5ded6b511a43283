"""tree_route as a torch operation; a route has no gradient."""

from typing import NamedTuple

import torch

from capratio.cost import op_formulas
from capratio.cost.operation import OperationCost
from capratio.errors import InputError
from capratio.kernels.backends import AUTO
from capratio.kernels.definition import define
from capratio.kernels.shape_check import check_bits


class Route(NamedTuple):
    """Where tokens go, and how they are sorted; all int64 on the tokens' device.

    leaf: (N,), the leaf of each token. order: (N,), the tokens sorted by leaf; those of a leaf keep their order.
    starts: (min(N, 2^k) + 1,), where each visited leaf's tokens begin in ``order``, and N from the end of the last on:
    leaf g of the visited ones, ascending, has the tokens order[starts[g] : starts[g + 1]]. Its size does not depend on
    the values, so that no host waits for a device.
    """

    leaf: torch.Tensor
    order: torch.Tensor
    starts: torch.Tensor


def tree_route(values: torch.Tensor, backend: str = AUTO) -> Route:
    """Turn values into bits, b_l = (value_l > 0), bits into a leaf, int(b_1..b_k), and sort the tokens by leaf.

    Args: values: (N, k), floating point, or bool bits. backend: one of ``capratio.kernels.backends.NAMES``.

    Raises InputError for another shape or dtype, more than 62 bits, or a backend that is not known or cannot run where
    the values lie.
    """
    if values.dim() != 2 or not (values.is_floating_point() or values.dtype == torch.bool):
        raise InputError(
            f"tree_route was given values of shape {tuple(values.shape)} and {values.dtype}; give (N, k), floating "
            "point or bool."
        )
    check_bits("tree_route", values.shape[1])
    return Route(*_TREE_ROUTE(values.detach(), backend))


def _fake(values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    tokens, depth = values.shape
    groups = torch.sym_min(tokens, 2**depth)  # type: ignore[no-untyped-call]
    sizes = tokens, tokens, groups + 1
    leaf, order, starts = (values.new_empty(size, dtype=torch.int64) for size in sizes)
    return leaf, order, starts


def _cost(values: torch.Tensor, *, backend: str) -> OperationCost:
    tokens, depth = values.shape
    return op_formulas.tree_route(tokens, depth, itemsize=values.itemsize)


_TREE_ROUTE = define(
    "tree_route", "tree_route(Tensor values) -> (Tensor leaf, Tensor order, Tensor starts)", _fake, _cost
)
