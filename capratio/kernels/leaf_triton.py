"""From values to leaves, in Triton: one pass over a token's bits."""

import torch
import triton
import triton.language as tl

from capratio.kernels.compiling_triton import compile_kernel, on_device

# Enough for 8 loads of a warp each; a token's bits are few, and its leaf is one store.
_TOKENS = 256


def leaves(values: torch.Tensor) -> torch.Tensor:
    """int(b_1..b_k) of the bits b_l = (value_l > 0): (N, k), bool or floating point of any kind -> int64 (N,)."""
    count, depth = values.shape
    leaf = values.new_empty(count, dtype=torch.int64)
    if count == 0:
        return leaf
    read = values.view(torch.uint8) if values.dtype == torch.bool else values
    half = values.is_floating_point() and values.itemsize == 2
    with on_device(values):
        _leaves[(triton.cdiv(count, _TOKENS),)](
            read, leaf, count, depth, *read.stride(), HALF=half, BLOCK_TOKENS=_TOKENS
        )
    return leaf


@compile_kernel
def _leaves(
    values: tl.tensor,
    leaf: tl.tensor,
    count: tl.tensor,
    depth: tl.tensor,
    value_token: tl.tensor,
    value_bit: tl.tensor,
    HALF: tl.constexpr,
    BLOCK_TOKENS: tl.constexpr,
) -> None:
    """The leaves of a block of tokens."""
    tokens = tl.program_id(0).to(tl.int64) * BLOCK_TOKENS + tl.arange(0, BLOCK_TOKENS)
    index = tl.zeros((BLOCK_TOKENS,), tl.int64)
    for bit in range(0, depth):
        value = tl.load(values + tokens * value_token + bit * value_bit, mask=tokens < count, other=0)
        if HALF:
            # The interpreter compares the bits of bfloat16; widening is exact.
            value = value.to(tl.float32)
        index = 2 * index + (value > 0).to(tl.int64)
    tl.store(leaf + tokens, index, mask=tokens < count)
