"""router_logits as torch operations: logits of all experts or of a chosen group's, and their gradients."""

from typing import Any, Protocol

import torch

from capratio.cost import op_formulas
from capratio.cost.operation import OperationCost
from capratio.kernels.backends import AUTO
from capratio.kernels.definition import Context, define, differentiate
from capratio.kernels.precision import sum_dtype
from capratio.kernels.shape_check import check_shapes

Gradients = tuple[torch.Tensor | None, ...]


def router_logits(x: torch.Tensor, weight: torch.Tensor, backend: str = AUTO) -> torch.Tensor:
    """Score each expert for each token, logits_ne = weight_e . x_n; a product whose FLOP count as gating.

    Args: x: (N, p). weight: (E, p), a row for each expert. backend: one of ``capratio.kernels.backends.NAMES``.

    Returns (N, E), computed and returned in float32 for half precision, else in the dtype of x. Differentiable in x and
    weight, to every order.

    Raises InputError for shapes or dtypes that do not fit one another, and an unknown backend.
    """
    check_shapes("router_logits", (("x", x, "Np"), ("weight", weight, "Ep")))
    out: torch.Tensor = _LOGITS(x, weight, backend)
    return out


def group_router_logits(
    x: torch.Tensor, weight: torch.Tensor, group: torch.Tensor, backend: str = AUTO
) -> torch.Tensor:
    """Score each expert of a token's own group, logits_nm = weight[group_n, m] . x_n; its FLOP count as gating.

    Args: x: (N, p). weight: (G, M, p), M experts a group. group: (N,) int64. backend: as ``router_logits``.

    Returns (N, M), in the dtype of ``router_logits``. Differentiable in x and weight, to every order.

    Raises InputError for shapes or dtypes that do not fit one another, and an unknown backend.
    """
    check_shapes("group_router_logits", (("x", x, "Np"), ("weight", weight, "GMp")), ("group", group, "N"))
    out: torch.Tensor = _GROUP_LOGITS(x, weight, group, backend)
    return out


def group_router_logits_weight_gradient(
    grad: torch.Tensor, x: torch.Tensor, group: torch.Tensor, groups: int, backend: str = AUTO
) -> torch.Tensor:
    """The gradient of group_router_logits to weight, dweight[g] = sum of dlogits_n x_n^T over group_n = g.

    (N, M), (N, p), (N,) -> (groups, M, p), in the dtype of the logits. Differentiable in grad and x.
    """
    numbers = (("grad", grad, "NM"), ("x", x, "Np"))
    check_shapes("group_router_logits_weight_gradient", numbers, ("group", group, "N"))
    out: torch.Tensor = _GROUP_TO_WEIGHT(grad, x, group, groups, backend)
    return out


def _cost(x: torch.Tensor, weight: torch.Tensor, *, backend: str) -> OperationCost:
    experts, features = weight.shape
    return op_formulas.router_logits(len(x), features, experts, itemsize=x.itemsize)


def _group_cost(x: torch.Tensor, weight: torch.Tensor, group: torch.Tensor, *, backend: str) -> OperationCost:
    _, experts, features = weight.shape
    return op_formulas.group_router_logits(len(x), features, experts, visited=_visited(group), itemsize=x.itemsize)


def _group_to_weight_cost(
    grad: torch.Tensor, x: torch.Tensor, group: torch.Tensor, groups: int, *, backend: str
) -> OperationCost:
    (tokens, features), experts = x.shape, grad.shape[1]
    return op_formulas.group_router_logits_weight_gradient(
        tokens, features, experts, visited=_visited(group), groups=groups, itemsize=x.itemsize
    )


def _visited(group: torch.Tensor) -> int:
    visited: int = torch.unique(group).numel()
    return visited


_LOGITS = define(
    "router_logits",
    "router_logits(Tensor x, Tensor weight) -> Tensor",
    lambda x, weight: x.new_empty(x.shape[0], weight.shape[0], dtype=sum_dtype(x.dtype)),
    _cost,
)
_GROUP_LOGITS = define(
    "router_logits",
    "group_router_logits(Tensor x, Tensor weight, Tensor group) -> Tensor",
    lambda x, weight, group: x.new_empty(x.shape[0], weight.shape[1], dtype=sum_dtype(x.dtype)),
    _group_cost,
)
_GROUP_TO_WEIGHT = define(
    "router_logits",
    "group_router_logits_weight_gradient(Tensor grad, Tensor x, Tensor group, SymInt groups) -> Tensor",
    lambda grad, x, group, groups: grad.new_empty(groups, grad.shape[1], x.shape[1], dtype=sum_dtype(x.dtype)),
    _group_to_weight_cost,
)


class _BackendContext(Context, Protocol):
    backend: str


def _save(ctx: _BackendContext, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
    *tensors, ctx.backend = inputs
    ctx.save_for_backward(*tensors)


def _save_without_groups(ctx: _BackendContext, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
    grad, x, group, _, ctx.backend = inputs
    ctx.save_for_backward(grad, x, group)


def _backward(ctx: _BackendContext, grad: torch.Tensor) -> Gradients:
    """Both gradients are products of the same kind: dx = dy W, dW = dy^T x."""
    x, weight = ctx.saved_tensors
    needs_x, needs_weight, _ = ctx.needs_input_grad
    to_x = router_logits(grad, weight.t().to(grad.dtype), ctx.backend) if needs_x else None
    to_weight = router_logits(grad.t(), x.t().to(grad.dtype), ctx.backend) if needs_weight else None
    return _rounded(to_x, x), _rounded(to_weight, weight), None


def _group_backward(ctx: _BackendContext, grad: torch.Tensor) -> Gradients:
    x, weight, group = ctx.saved_tensors
    needs_x, needs_weight = ctx.needs_input_grad[:2]
    wide = grad.dtype
    to_x = group_router_logits(grad, weight.transpose(1, 2).to(wide), group, ctx.backend) if needs_x else None
    to_weight = (
        group_router_logits_weight_gradient(grad, x.to(wide), group, len(weight), ctx.backend) if needs_weight else None
    )
    return _rounded(to_x, x), _rounded(to_weight, weight), None, None


def _group_to_weight_backward(ctx: _BackendContext, second: torch.Tensor) -> Gradients:
    grad, x, group = ctx.saved_tensors
    needs_grad, needs_x = ctx.needs_input_grad[:2]
    to_grad = group_router_logits(x, second, group, ctx.backend) if needs_grad else None
    to_x = group_router_logits(grad, second.transpose(1, 2), group, ctx.backend) if needs_x else None
    return to_grad, to_x, None, None, None


def _rounded(gradient: torch.Tensor | None, to: torch.Tensor) -> torch.Tensor | None:
    return None if gradient is None else gradient.to(to.dtype)


differentiate(_LOGITS, _backward, _save)
differentiate(_GROUP_LOGITS, _group_backward, _save)
differentiate(_GROUP_TO_WEIGHT, _group_to_weight_backward, _save_without_groups)
