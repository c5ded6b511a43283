"""block_linear by torch's block-sparse tensor (BSR), a peer: of masks that all tokens share, the live weight blocks.

torch has no gradient of such a product on the CPU, so that its gradients are the reference's.
"""

import warnings

import torch

from capratio.errors import InputError
from capratio.kernels.block_linear.reference import (
    block_linear_bias_gradient,
    block_linear_input_gradient,
    block_linear_touched,
    block_linear_weight_gradient,
    spread,
)

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
    """y = ((x M_in) W^T + b) M_out: (N, p), (q, p), (q,), (N, B_in), (N, B_out) -> (N, q).

    Raises InputError where tokens differ in their masks, blocks are not square, or x is of a half type.
    """
    if len(x) == 0:
        return x.new_empty(0, len(weight))
    _check(x, weight, live_in, live_out)
    # This way round it is several times faster than torch.nn.functional.linear, which exchanges the sides for it.
    out = torch.mm(live_weight(weight, live_in[0], live_out[0]), x.t()).t().contiguous()
    if bias is not None:
        out += torch.where(spread(live_out[0], len(bias)), bias, 0)
    return out


def live_weight(weight: torch.Tensor, live_in: torch.Tensor, live_out: torch.Tensor) -> torch.Tensor:
    """The blocks with both sides live, as a BSR tensor of the weight's shape: (q, p), (B_in,), (B_out,)."""
    wide, high = weight.shape[1] // len(live_in), len(weight) // len(live_out)
    columns = live_in.nonzero().squeeze(1)
    blocks = weight.view(len(live_out), high, len(live_in), wide).transpose(1, 2)
    starts = torch.nn.functional.pad((live_out * len(columns)).cumsum(0), (1, 0))
    with warnings.catch_warnings():
        # torch says once a process that these tensors are in beta.
        warnings.filterwarnings("ignore", "Sparse BSR tensor support")
        return torch.sparse_bsr_tensor(
            starts,
            columns.repeat(int(live_out.sum())),
            blocks[live_out][:, live_in].flatten(0, 1),
            weight.shape,
            check_invariants=False,
        )


def _check(x: torch.Tensor, weight: torch.Tensor, live_in: torch.Tensor, live_out: torch.Tensor) -> None:
    if not (
        torch.equal(live_in, live_in[:1].expand_as(live_in)) and torch.equal(live_out, live_out[:1].expand_as(live_out))
    ):
        raise InputError(
            "backend='bsr' was given masks that differ from token to token, and torch's block-sparse tensor is one for "
            "all; give one mask for all tokens or use another backend."
        )
    wide, high = weight.shape[1] // live_in.shape[1], len(weight) // live_out.shape[1]
    if wide != high:
        raise InputError(
            f"backend='bsr' was given blocks of {high} outputs and {wide} inputs, and torch's block-sparse product "
            "takes square ones; give as many outputs as inputs a block or use another backend."
        )
    if x.dtype not in (torch.float32, torch.float64):
        raise InputError(
            f"backend='bsr' was given {x.dtype}, and torch's block-sparse product takes float32 and float64; use one "
            "of them or another backend."
        )
