"""From values to leaves, in Triton: one pass over a token's bits."""

import torch
import triton
import triton.language as tl

from capratio.kernels.cuda.compiling_triton import compile_kernel, on_device

# Enough for 8 loads of a warp each; a token's bits are few, and its leaf is one store.
_TOKENS = 256


def leaves(values: torch.Tensor) -> torch.Tensor:
    """int(b_1..b_k) of the bits b_l = (value_l > 0): (N, k), bool or floating point of any kind -> int64 (N,)."""
    leaf = values.new_empty(len(values), dtype=torch.int64)
    _find(leaf, values, None, values.shape[1], 1)
    return leaf


def chosen_leaves(values: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
    """As ``leaves``, of the columns that each of m units has chosen: (N, h), (m, k) -> int64 (N, m)."""
    units, depth = chosen.shape
    leaf = values.new_empty(len(values), units, dtype=torch.int64)
    _find(leaf, values, chosen.contiguous(), depth, units)
    return leaf


def _find(leaf: torch.Tensor, values: torch.Tensor, chosen: torch.Tensor | None, depth: int, units: int) -> None:
    count = leaf.numel()
    if count == 0:
        return
    read = values.view(torch.uint8) if values.dtype == torch.bool else values
    half = values.is_floating_point() and values.itemsize == 2
    with on_device(values):
        _leaves[(triton.cdiv(count, _TOKENS),)](
            read,
            leaf if chosen is None else chosen,
            leaf,
            count,
            units,
            *read.stride(),
            DEPTH=depth,
            HALF=half,
            CHOSEN=chosen is not None,
            BLOCK_TOKENS=_TOKENS,
        )


@compile_kernel
def _leaves(
    values: tl.tensor,
    chosen: tl.tensor,
    leaf: tl.tensor,
    count: tl.tensor,
    units: tl.tensor,
    value_token: tl.tensor,
    value_bit: tl.tensor,
    DEPTH: tl.constexpr,
    HALF: tl.constexpr,
    CHOSEN: tl.constexpr,
    BLOCK_TOKENS: tl.constexpr,
) -> None:
    """The leaves of a block of tokens, of all units of a token one after the other."""
    places = tl.program_id(0).to(tl.int64) * BLOCK_TOKENS + tl.arange(0, BLOCK_TOKENS)
    inside = places < count
    rows = values + (places // units) * value_token
    index = tl.zeros((BLOCK_TOKENS,), tl.int64)
    # Unrolled, so that a token's values are asked for before the first one has come.
    for bit in tl.static_range(0, DEPTH):
        if CHOSEN:
            column = tl.load(chosen + (places % units) * DEPTH + bit, mask=inside, other=0)
            value = tl.load(rows + column * value_bit, mask=inside, other=0)
        else:
            value = tl.load(rows + bit * value_bit, mask=inside, other=0)
        if HALF:
            # The interpreter compares the bits of bfloat16; widening is exact.
            value = value.to(tl.float32)
        index = 2 * index + (value > 0).to(tl.int64)
    tl.store(leaf + places, index, mask=inside)
