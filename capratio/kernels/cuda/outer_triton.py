"""The gradients of matrices, in Triton: of each row the sum of its tokens' outer products, in the tokens' order."""

import torch
import triton
import triton.language as tl

from capratio.kernels.cuda import cuda_blocks
from capratio.kernels.cuda.compiling_triton import add_product, compile_kernel, on_device


def sum_outer_products(
    out: torch.Tensor,
    grad: torch.Tensor,
    x: torch.Tensor,
    order: torch.Tensor,
    begins: torch.Tensor,
    ends: torch.Tensor,
    groups: int,
) -> None:
    """out[r] = sum of grad[order[s]] x[order[s]]^T over the places s of r, begins[r]..ends[r], and zeros without any.

    out: (rows, q, p), contiguous, all of it written. grad: (N, q). x: (N, p). order: (N,). begins, ends: (rows,).
    groups: among how many rows the tokens are shared out, for the size of blocks.

    Raises InputError for a dtype that has no blocks.
    """
    rows, outputs, inputs = out.shape
    blocks = cuda_blocks.pick(cuda_blocks.CUDA_BLOCKS.outer, x.itemsize, len(x), groups)
    if out.numel() == 0:
        return
    with on_device(out):
        _outer_products[(rows * triton.cdiv(outputs, blocks.outputs) * triton.cdiv(inputs, blocks.inputs),)](
            out,
            grad,
            x,
            order,
            begins,
            ends,
            outputs,
            inputs,
            *grad.stride(),
            *x.stride(),
            BLOCK_TOKENS=blocks.tokens,
            BLOCK_OUTPUTS=blocks.outputs,
            BLOCK_INPUTS=blocks.inputs,
            num_warps=blocks.warps,
            num_stages=blocks.stages,
        )


@compile_kernel
def _outer_products(
    out: tl.tensor,
    grad: tl.tensor,
    x: tl.tensor,
    order: tl.tensor,
    begins: tl.tensor,
    ends: tl.tensor,
    outputs: tl.tensor,
    inputs: tl.tensor,
    grad_token: tl.tensor,
    grad_output: tl.tensor,
    x_token: tl.tensor,
    x_input: tl.tensor,
    BLOCK_TOKENS: tl.constexpr,
    BLOCK_OUTPUTS: tl.constexpr,
    BLOCK_INPUTS: tl.constexpr,
) -> None:
    """A block of one row's gradient."""
    across = tl.cdiv(inputs, BLOCK_INPUTS)
    blocks = tl.cdiv(outputs, BLOCK_OUTPUTS) * across
    row = (tl.program_id(0) // blocks).to(tl.int64)
    block = tl.program_id(0) % blocks
    i = ((block // across) * BLOCK_OUTPUTS + tl.arange(0, BLOCK_OUTPUTS)).to(tl.int64)
    j = ((block % across) * BLOCK_INPUTS + tl.arange(0, BLOCK_INPUTS)).to(tl.int64)
    end = tl.load(ends + row)
    sums = tl.zeros((BLOCK_OUTPUTS, BLOCK_INPUTS), tl.float32)
    for start in range(tl.load(begins + row), end, BLOCK_TOKENS):
        places = start + tl.arange(0, BLOCK_TOKENS)
        tokens = tl.load(order + places, mask=places < end, other=0)
        left = tl.load(
            grad + i[:, None] * grad_output + tokens[None, :] * grad_token,
            mask=(i < outputs)[:, None] & (places < end)[None, :],
            other=0.0,
        )
        right = tl.load(
            x + tokens[:, None] * x_token + j[None, :] * x_input,
            mask=(places < end)[:, None] & (j < inputs)[None, :],
            other=0.0,
        )
        sums = add_product(sums, left, right)
    tl.store(
        out + row * outputs * inputs + i[:, None] * inputs + j[None, :],
        sums.to(out.dtype.element_ty),
        mask=(i < outputs)[:, None] & (j < inputs)[None, :],
    )
