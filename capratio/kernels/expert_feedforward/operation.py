"""expert_feedforward as torch operations: the networks of each token's experts, and all of its gradients at once."""

from typing import Any, Protocol

import torch
from torch.autograd.function import FunctionCtx

from capratio.cost import op_formulas
from capratio.cost.operation import OperationCost
from capratio.errors import InputError
from capratio.kernels.backends import AUTO
from capratio.kernels.definition import Context, define, differentiate
from capratio.kernels.expert_feedforward.activations import is_gated
from capratio.kernels.precision import product_dtype, sum_dtype
from capratio.kernels.shape_check import check_shapes


def expert_feedforward(
    x: torch.Tensor,
    weight_in: torch.Tensor,
    weight_out: torch.Tensor,
    expert: torch.Tensor,
    share: torch.Tensor,
    activation: str = "relu",
    backend: str = AUTO,
) -> torch.Tensor:
    """Send every token through its experts, y_n = sum over j of share[n, j] W_out[e] act(W_in[e] x_n).

    Here e = expert[n, j].

    Args: x: (N, p). weight_in: (E, m, p). weight_out: (E, q, h). expert: (N, k) int64 in 0..E - 1, or -1 for none,
    which adds nothing. share: (N, k), of x's dtype, or float32 where that is a half type. activation: ``relu`` or
    ``gelu`` (exact), m = h; ``geglu`` or ``swiglu``, m = 2h: of W_in x the first h elements, through gelu or silu,
    times the last h. backend: one of ``capratio.kernels.backends.NAMES``.

    Returns (N, q), in x's dtype. Differentiable once in x, weight_in, weight_out and share; the tables' gradients are
    dense, and a share without an expert has the gradient 0.

    Raises InputError for shapes or dtypes that do not fit one another, an activation or backend that is not known, a
    backend that cannot run where x lies, a second derivative, and, except on CUDA, where no value is waited for, an
    expert that is none of -1..E - 1.

    Source: Shazeer et al. 2017, arXiv 1701.06538, section 2 (the sum); Shazeer 2020, arXiv 2002.05202 (the gated ones).
    """
    tables = (("weight_in", weight_in, "Emp"), ("weight_out", weight_out, "Eqh"))
    check_shapes("expert_feedforward", (("x", x, "Np"), *tables), ("expert", expert, "Nk"))
    check_shapes(
        "expert_feedforward", (("x", x, "Np"), ("share", share, "Nk")), ("expert", expert, "Nk"), one_dtype=False
    )
    _check_share(share, x)
    _check_hidden(weight_in, weight_out, activation)
    given = (x, weight_in, weight_out, share)
    keep = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in given)
    out: torch.Tensor = _FORWARD(x, weight_in, weight_out, expert, share, activation, keep, backend)[0]
    return out


def _check_share(share: torch.Tensor, x: torch.Tensor) -> None:
    if share.dtype not in (x.dtype, sum_dtype(x.dtype)):
        raise InputError(
            f"expert_feedforward was given share of {share.dtype} and x of {x.dtype}; give share in x's dtype, or in "
            "float32 where that is a half type."
        )


def _check_hidden(weight_in: torch.Tensor, weight_out: torch.Tensor, activation: str) -> None:
    rows, hidden = weight_in.shape[1], weight_out.shape[2]
    wanted = 2 * hidden if is_gated(activation) else hidden
    if rows != wanted:
        raise InputError(
            f"expert_feedforward was given weight_in of {rows} rows an expert for activation={activation!r} and "
            f"weight_out of {hidden} hidden features; give {wanted} rows."
        )


def _cost(
    x: torch.Tensor,
    weight_in: torch.Tensor,
    weight_out: torch.Tensor,
    expert: torch.Tensor,
    share: torch.Tensor,
    activation: str,
    keep: bool,
    *,
    backend: str,
) -> OperationCost:
    return op_formulas.expert_feedforward(
        len(x),
        x.shape[1],
        weight_out.shape[1],
        weight_out.shape[2],
        activation,
        slots=expert.numel(),
        **_visits(expert),
        itemsize=x.itemsize,
    )


def _gradients_cost(
    grad: torch.Tensor,
    kept: torch.Tensor,
    x: torch.Tensor,
    weight_in: torch.Tensor,
    weight_out: torch.Tensor,
    expert: torch.Tensor,
    share: torch.Tensor,
    activation: str,
    *,
    backend: str,
) -> OperationCost:
    return op_formulas.expert_feedforward_gradients(
        len(x),
        x.shape[1],
        weight_out.shape[1],
        weight_out.shape[2],
        activation,
        slots=expert.numel(),
        **_visits(expert),
        experts=len(weight_in),
        itemsize=x.itemsize,
    )


def _visits(expert: torch.Tensor) -> dict[str, int]:
    assigned = expert[expert >= 0]
    return {"assignments": assigned.numel(), "visited": torch.unique(assigned).numel()}


def _fake(
    x: torch.Tensor,
    weight_in: torch.Tensor,
    weight_out: torch.Tensor,
    expert: torch.Tensor,
    share: torch.Tensor,
    activation: str,
    keep: bool,
) -> tuple[torch.Tensor, torch.Tensor]:
    slots = expert.shape[0] * expert.shape[1] if keep else 0
    kept = x.new_empty(slots, weight_in.shape[1], dtype=product_dtype(x))
    return x.new_empty(x.shape[0], weight_out.shape[1]), kept


_FORWARD = define(
    "expert_feedforward",
    "expert_feedforward(Tensor x, Tensor weight_in, Tensor weight_out, Tensor expert, Tensor share, str activation, "
    "bool keep) -> (Tensor, Tensor)",
    _fake,
    _cost,
)
_GRADIENTS = define(
    "expert_feedforward",
    "expert_feedforward_gradients(Tensor grad, Tensor kept, Tensor x, Tensor weight_in, Tensor weight_out, "
    "Tensor expert, Tensor share, str activation) -> (Tensor, Tensor, Tensor, Tensor)",
    lambda grad, kept, x, weight_in, weight_out, expert, share, activation: tuple(
        tensor.new_empty(tensor.shape) for tensor in (x, weight_in, weight_out, share)
    ),
    _gradients_cost,
)


class _Context(Context, Protocol):
    activation: str
    backend: str
    set_materialize_grads: Any
    mark_non_differentiable: Any


def _save(ctx: _Context, inputs: tuple[Any, ...], output: tuple[torch.Tensor, torch.Tensor]) -> None:
    *tensors, ctx.activation, _, ctx.backend = inputs
    _, kept = output
    ctx.mark_non_differentiable(kept)
    # Zeros in place of the gradient that ``kept`` has not would be as large as it.
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(kept, *tensors)


def _backward(ctx: _Context, grad: torch.Tensor | None, _: None) -> tuple[torch.Tensor | None, ...]:
    if grad is None:
        return (None,) * len(ctx.needs_input_grad)
    to_x, to_in, to_out, to_share = _GRADIENTS(grad, *ctx.saved_tensors, ctx.activation, ctx.backend)
    return to_x, to_in, to_out, None, to_share, None, None, None


def _save_nothing(ctx: FunctionCtx, inputs: tuple[Any, ...], output: tuple[torch.Tensor, ...]) -> None:
    return


def _refuse(ctx: FunctionCtx, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
    raise InputError(
        "expert_feedforward was differentiated twice, and has a first derivative alone; leave create_graph=True, or "
        "take a second derivative of a plain torch network."
    )


differentiate(_FORWARD, _backward, _save)
differentiate(_GRADIENTS, _refuse, _save_nothing)
