"""block_linear by torch's dense product between masks, a peer: what is dead is multiplied too, and set to zero."""

import torch

from capratio.kernels.block_linear.reference import block_linear_bias_gradient, spread, visited_pairs
from capratio.kernels.precision import product_dtype

__all__ = [
    "block_linear",
    "block_linear_bias_gradient",
    "block_linear_input_gradient",
    "block_linear_touched",
    "block_linear_weight_gradient",
]


def block_linear(
    x: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    live_in: torch.Tensor,
    live_out: torch.Tensor,
) -> torch.Tensor:
    """y = ((x M_in) W^T + b) M_out: (N, p), (q, p), (q,), (N, B_in), (N, B_out) -> (N, q)."""
    wide = product_dtype(x)
    added = None if bias is None else bias.to(wide)
    out = torch.nn.functional.linear(_masked(x, live_in), weight.to(wide), added)
    return (out * spread(live_out, out.shape[1])).to(x.dtype)


def block_linear_input_gradient(
    grad: torch.Tensor, weight: torch.Tensor, live_in: torch.Tensor, live_out: torch.Tensor
) -> torch.Tensor:
    """dx = ((dy M_out) W) M_in: (N, q), (q, p), (N, B_in), (N, B_out) -> (N, p)."""
    out = torch.mm(_masked(grad, live_out), weight.to(product_dtype(grad)))
    return (out * spread(live_in, out.shape[1])).to(grad.dtype)


def block_linear_weight_gradient(
    grad: torch.Tensor, x: torch.Tensor, live_in: torch.Tensor, live_out: torch.Tensor
) -> torch.Tensor:
    """dW = (dy M_out)^T (x M_in): (N, q), (N, p), (N, B_in), (N, B_out) -> (q, p)."""
    return torch.mm(_masked(grad, live_out).t(), _masked(x, live_in)).to(grad.dtype)


def block_linear_touched(
    grad: torch.Tensor, x: torch.Tensor, live_in: torch.Tensor, live_out: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """The blocks of dW that any token visits, row by row, and their gradients: -> (M,), (M, q / B_out, p / B_in)."""
    indices = visited_pairs(live_in, live_out)
    in_blocks, out_blocks = live_in.shape[1], live_out.shape[1]
    total = block_linear_weight_gradient(grad, x, live_in, live_out)
    blocks = total.view(out_blocks, grad.shape[1] // out_blocks, in_blocks, x.shape[1] // in_blocks)
    return indices, blocks.transpose(1, 2).flatten(0, 1)[indices]


def _masked(rows: torch.Tensor, live: torch.Tensor) -> torch.Tensor:
    """rows M, in the dtype of products."""
    return rows.to(product_dtype(rows)) * spread(live, rows.shape[1])
