"""tree_descent in Triton: one program walks one token down, and reads its way alone."""

import torch
import triton.language as tl

from capratio.kernels.cuda import cuda_blocks
from capratio.kernels.cuda.compiling_triton import compile_kernel, on_device


def tree_descent(x: torch.Tensor, weight: torch.Tensor, offset: torch.Tensor, depth: int) -> torch.Tensor:
    """The leaf, from node n on to 2n + 1 + [weight_n . x + offset_n > 0]: (N, p), (2^k - 1, p), (2^k - 1,) -> (N,)."""
    blocks = cuda_blocks.CUDA_BLOCKS.rows
    leaf = x.new_empty(len(x), dtype=torch.int64)
    if len(x):
        with on_device(x):
            _find_leaves[(len(x),)](
                x,
                weight,
                offset,
                leaf,
                x.shape[1],
                depth,
                len(weight),
                *x.stride(),
                *weight.stride(),
                *offset.stride(),
                BLOCK_COLUMNS=blocks.columns,
                num_warps=blocks.warps,
            )
    return leaf


def neuron_path(x: torch.Tensor, weight: torch.Tensor, depth: int) -> tuple[torch.Tensor, torch.Tensor]:
    """(node, value) with value_l = weight[node_l] . x, by which the way goes on: (N, p), (2^(k+1) - 1, p)."""
    blocks = cuda_blocks.CUDA_BLOCKS.rows
    value = x.new_empty(len(x), depth + 1)
    node = torch.empty_like(value, dtype=torch.int64)
    if len(x):
        with on_device(x):
            _walk[(len(x),)](
                x,
                weight,
                node,
                value,
                x.shape[1],
                depth + 1,
                *x.stride(),
                *weight.stride(),
                BLOCK_COLUMNS=blocks.columns,
                num_warps=blocks.warps,
            )
    return node, value


@compile_kernel
def _find_leaves(
    x: tl.tensor,
    weight: tl.tensor,
    offset: tl.tensor,
    leaf: tl.tensor,
    width: tl.tensor,
    depth: tl.tensor,
    nodes: tl.tensor,
    x_token: tl.tensor,
    x_column: tl.tensor,
    weight_row: tl.tensor,
    weight_column: tl.tensor,
    offset_row: tl.tensor,
    BLOCK_COLUMNS: tl.constexpr,
) -> None:
    """The leaf of one token."""
    token = tl.program_id(0).to(tl.int64)
    at = token * 0
    for _ in range(0, depth):
        row = weight + at * weight_row
        score = _product(x + token * x_token, row, width, x_column, weight_column, BLOCK_COLUMNS)
        score += tl.load(offset + at * offset_row).to(tl.float32)
        at = 2 * at + 1 + (score > 0).to(tl.int64)
    tl.store(leaf + token, at - nodes)


@compile_kernel
def _walk(
    x: tl.tensor,
    weight: tl.tensor,
    node: tl.tensor,
    value: tl.tensor,
    width: tl.tensor,
    levels: tl.tensor,
    x_token: tl.tensor,
    x_column: tl.tensor,
    weight_row: tl.tensor,
    weight_column: tl.tensor,
    BLOCK_COLUMNS: tl.constexpr,
) -> None:
    """The nodes on one token's way, and their values."""
    token = tl.program_id(0).to(tl.int64)
    at = token * 0
    for level in range(0, levels):
        row = weight + at * weight_row
        score = _product(x + token * x_token, row, width, x_column, weight_column, BLOCK_COLUMNS)
        tl.store(node + token * levels + level, at)
        tl.store(value + token * levels + level, score.to(value.dtype.element_ty))
        at = 2 * at + 1 + (score > 0).to(tl.int64)


@compile_kernel
def _product(
    left: tl.tensor,
    right: tl.tensor,
    width: tl.tensor,
    left_column: tl.tensor,
    right_column: tl.tensor,
    BLOCK_COLUMNS: tl.constexpr,
) -> tl.tensor:
    """The product of two rows, summed in float32."""
    terms = tl.zeros((BLOCK_COLUMNS,), tl.float32)
    for start in range(0, width, BLOCK_COLUMNS):
        columns = (start + tl.arange(0, BLOCK_COLUMNS)).to(tl.int64)
        one = tl.load(left + columns * left_column, mask=columns < width, other=0.0).to(tl.float32)
        other = tl.load(right + columns * right_column, mask=columns < width, other=0.0).to(tl.float32)
        terms += one * other
    return tl.sum(terms, axis=0)
