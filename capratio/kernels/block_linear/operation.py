"""block_linear as torch operations: a product of live blocks alone, and its gradients."""

from typing import Any, Protocol

import torch

from capratio.cost import op_formulas
from capratio.cost.op_formulas.block_linear import LiveBlocks
from capratio.cost.operation import OperationCost
from capratio.errors import InputError
from capratio.kernels.backends import AUTO
from capratio.kernels.definition import Context, define, differentiate
from capratio.kernels.shape_check import Named, check_shapes


def block_linear(
    x: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    live_in: torch.Tensor,
    live_out: torch.Tensor,
    backend: str = AUTO,
) -> torch.Tensor:
    """Multiply each token's live input blocks by the weights of its live output blocks, y = ((x M_in) W^T + b) M_out.

    Args: x: (N, p). weight: (q, p). bias: (q,), or None. live_in: (N, B_in) bool, each entry for p / B_in neighbouring
    features. live_out: (N, B_out) bool, each for q / B_out. backend: one of ``capratio.kernels.backends.NAMES``;
    ``dense-masked`` is torch's dense product with masks, ``bsr`` torch's block-sparse tensor, for masks that all tokens
    share.

    Returns (N, q); dead outputs are exactly 0, with a bias too. Differentiable once in x, weight and bias; gradients of
    dead blocks are exactly 0, and neither they nor weight blocks that no token visits are computed.

    Raises InputError for shapes or dtypes that do not fit one another, blocks that do not divide the features, a
    backend that is not known or cannot run where x lies, and where a gradient is itself to be differentiated.

    Source: Bengio, Bacon, Pineau & Precup 2015, arXiv 1511.06297: ((H M_H) W) M_O with block masks.
    """
    numbers: tuple[Named, ...] = (("x", x, "Np"), ("weight", weight, "qp"))
    if bias is not None:
        numbers = (*numbers, ("bias", bias, "q"))
    _check("block_linear", numbers, live_in, live_out, *weight.shape[::-1])
    out: torch.Tensor = _PRODUCT(x, weight, bias, live_in, live_out, backend)
    return out


def block_linear_input_gradient(
    grad: torch.Tensor, weight: torch.Tensor, live_in: torch.Tensor, live_out: torch.Tensor, backend: str = AUTO
) -> torch.Tensor:
    """The gradient of block_linear to x, dx = ((dy M_out) W) M_in: (N, q), (q, p), (N, B_in), (N, B_out) -> (N, p)."""
    numbers = (("grad", grad, "Nq"), ("weight", weight, "qp"))
    _check("block_linear_input_gradient", numbers, live_in, live_out, *weight.shape[::-1])
    out: torch.Tensor = _INPUT_GRADIENT(grad, weight, live_in, live_out, backend)
    return out


def block_linear_weight_gradient(
    grad: torch.Tensor, x: torch.Tensor, live_in: torch.Tensor, live_out: torch.Tensor, backend: str = AUTO
) -> torch.Tensor:
    """The gradient of block_linear to weight, dW = (dy M_out)^T (x M_in): -> (q, p), zero where no token visits."""
    numbers = (("grad", grad, "Nq"), ("x", x, "Np"))
    _check("block_linear_weight_gradient", numbers, live_in, live_out, x.shape[-1], grad.shape[-1])
    out: torch.Tensor = _WEIGHT_GRADIENT(grad, x, live_in, live_out, backend)
    return out


def block_linear_touched(
    grad: torch.Tensor, x: torch.Tensor, live_in: torch.Tensor, live_out: torch.Tensor, backend: str = AUTO
) -> tuple[torch.Tensor, torch.Tensor]:
    """The weight blocks that any token visits and their gradients: -> (M,), (M, q / B_out, p / B_in).

    A block's index is i_out B_in + i_in; they ascend. All other blocks of the gradient are zero.
    """
    numbers = (("grad", grad, "Nq"), ("x", x, "Np"))
    _check("block_linear_touched", numbers, live_in, live_out, x.shape[-1], grad.shape[-1])
    indices, values = _TOUCHED(grad, x, live_in, live_out, backend)
    return indices, values


def block_linear_bias_gradient(grad: torch.Tensor, live_out: torch.Tensor, backend: str = AUTO) -> torch.Tensor:
    """The gradient of block_linear to bias, db = the sum over tokens of dy M_out: (N, q), (N, B_out) -> (q,)."""
    check_shapes("block_linear_bias_gradient", (("grad", grad, "Nq"),), ("live_out", live_out, "NB"), torch.bool)
    _check_blocks("block_linear_bias_gradient", "live_out", live_out, grad.shape[1])
    out: torch.Tensor = _BIAS_GRADIENT(grad, live_out, backend)
    return out


def _check(
    operation: str, numbers: tuple[Named, ...], live_in: torch.Tensor, live_out: torch.Tensor, p: int, q: int
) -> None:
    check_shapes(operation, numbers, ("live_in", live_in, "NI"), torch.bool)
    # Of the others all is known by now.
    check_shapes(operation, numbers[:1], ("live_out", live_out, "NO"), torch.bool)
    _check_blocks(operation, "live_in", live_in, p)
    _check_blocks(operation, "live_out", live_out, q)


def _check_blocks(operation: str, name: str, live: torch.Tensor, features: int) -> None:
    blocks = live.shape[1]
    if blocks == 0 or features % blocks:
        raise InputError(
            f"{operation} was given {name} of {blocks} blocks for {features} features; give a number of blocks that "
            "divides the features."
        )


def live_blocks(live_in: torch.Tensor, live_out: torch.Tensor) -> LiveBlocks:
    """What two masks leave alive, (N, B_in) and (N, B_out), as the cost of the operations counts it."""
    tokens, in_blocks = live_in.shape
    inputs, outputs = live_in.to(torch.float64), live_out.to(torch.float64)
    pairs = int((inputs.sum(1) * outputs.sum(1)).sum())
    visited = int((torch.mm(outputs.t(), inputs) > 0).sum())
    return LiveBlocks(tokens, in_blocks, live_out.shape[1], pairs, visited)


def _cost(
    x: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    live_in: torch.Tensor,
    live_out: torch.Tensor,
    *,
    backend: str,
) -> OperationCost:
    q, p = weight.shape
    product = op_formulas.block_linear(live_blocks(live_in, live_out), p, q, itemsize=x.itemsize)
    if bias is None:
        return product
    added = op_formulas.block_linear_bias(len(x), q, live_out.shape[1], live=int(live_out.sum()), itemsize=x.itemsize)
    return product + added


def _input_gradient_cost(
    grad: torch.Tensor, weight: torch.Tensor, live_in: torch.Tensor, live_out: torch.Tensor, *, backend: str
) -> OperationCost:
    q, p = weight.shape
    return op_formulas.block_linear_input_gradient(live_blocks(live_in, live_out), p, q, itemsize=grad.itemsize)


def _weight_gradient_cost(
    grad: torch.Tensor, x: torch.Tensor, live_in: torch.Tensor, live_out: torch.Tensor, *, backend: str
) -> OperationCost:
    return op_formulas.block_linear_weight_gradient(
        live_blocks(live_in, live_out), x.shape[1], grad.shape[1], itemsize=x.itemsize
    )


def _touched_cost(
    grad: torch.Tensor, x: torch.Tensor, live_in: torch.Tensor, live_out: torch.Tensor, *, backend: str
) -> OperationCost:
    return op_formulas.block_linear_touched(
        live_blocks(live_in, live_out), x.shape[1], grad.shape[1], itemsize=x.itemsize
    )


def _bias_gradient_cost(grad: torch.Tensor, live_out: torch.Tensor, *, backend: str) -> OperationCost:
    return op_formulas.block_linear_bias_gradient(
        len(grad),
        grad.shape[1],
        live_out.shape[1],
        live=int(live_out.sum()),
        visited=int(live_out.any(0).sum()),
        itemsize=grad.itemsize,
    )


def _touched_fake(
    grad: torch.Tensor, x: torch.Tensor, live_in: torch.Tensor, live_out: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    visited = torch.library.get_ctx().new_dynamic_size()
    blocks = grad.new_empty(visited, grad.shape[1] // live_out.shape[1], x.shape[1] // live_in.shape[1])
    return grad.new_empty(visited, dtype=torch.int64), blocks


_PRODUCT = define(
    "block_linear",
    "block_linear(Tensor x, Tensor weight, Tensor? bias, Tensor live_in, Tensor live_out) -> Tensor",
    lambda x, weight, bias, live_in, live_out: x.new_empty(x.shape[0], weight.shape[0]),
    _cost,
)
_INPUT_GRADIENT = define(
    "block_linear",
    "block_linear_input_gradient(Tensor grad, Tensor weight, Tensor live_in, Tensor live_out) -> Tensor",
    lambda grad, weight, live_in, live_out: grad.new_empty(grad.shape[0], weight.shape[1]),
    _input_gradient_cost,
)
_WEIGHT_GRADIENT = define(
    "block_linear",
    "block_linear_weight_gradient(Tensor grad, Tensor x, Tensor live_in, Tensor live_out) -> Tensor",
    lambda grad, x, live_in, live_out: grad.new_empty(grad.shape[1], x.shape[1]),
    _weight_gradient_cost,
)
_TOUCHED = define(
    "block_linear",
    "block_linear_touched(Tensor grad, Tensor x, Tensor live_in, Tensor live_out) -> (Tensor, Tensor)",
    _touched_fake,
    _touched_cost,
)
_BIAS_GRADIENT = define(
    "block_linear",
    "block_linear_bias_gradient(Tensor grad, Tensor live_out) -> Tensor",
    lambda grad, live_out: grad.new_empty(grad.shape[1]),
    _bias_gradient_cost,
)


class _BackendContext(Context, Protocol):
    backend: str


def _save(ctx: _BackendContext, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
    x, weight, _, live_in, live_out, ctx.backend = inputs
    ctx.save_for_backward(x, weight, live_in, live_out)


def _backward(ctx: _BackendContext, dy: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
    x, weight, live_in, live_out = ctx.saved_tensors
    needs_x, needs_weight, needs_bias = ctx.needs_input_grad[:3]
    dx = _INPUT_GRADIENT(dy, weight, live_in, live_out, ctx.backend) if needs_x else None
    dweight = _WEIGHT_GRADIENT(dy, x, live_in, live_out, ctx.backend) if needs_weight else None
    dbias = _BIAS_GRADIENT(dy, live_out, ctx.backend) if needs_bias else None
    return dx, dweight, dbias, None, None, None


def _save_nothing(ctx: Context, inputs: tuple[Any, ...], output: Any) -> None:
    return None


def _refuse_second(ctx: Context, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
    raise InputError(
        "block_linear is differentiable once, and a gradient of its gradient was asked for; leave create_graph=True "
        "out, or multiply masked tensors by torch.nn.functional.linear."
    )


differentiate(_PRODUCT, _backward, _save)
for _gradient in (_INPUT_GRADIENT, _WEIGHT_GRADIENT, _TOUCHED, _BIAS_GRADIENT):
    differentiate(_gradient, _refuse_second, _save_nothing)
