"""path_bias in Triton: the rows of a path are added in registers; gradients of leaves first, then of their parents."""

import torch
import triton
import triton.language as tl

from capratio.kernels.cuda import cuda_blocks
from capratio.kernels.cuda.compiling_triton import compile_kernel, on_device
from capratio.kernels.cuda.rows_triton import sum_groups
from capratio.kernels.cuda.token_tiles import add_children, sort_tokens
from capratio.kernels.routing import node_rows


def path_bias(base: torch.Tensor, table: torch.Tensor, leaf: torch.Tensor, depth: int) -> torch.Tensor:
    """base_n + sum over l = 0..k of table[node_l]: (N, q), (2^(k+1) - 1, q), (N,) -> (N, q)."""
    out = base.new_empty(base.shape)
    _add_paths(base, table, leaf, depth, out)
    return out


def add_path_bias(base: torch.Tensor, table: torch.Tensor, leaf: torch.Tensor, depth: int) -> None:
    """As path_bias, in place."""
    if base.is_contiguous():
        _add_paths(base, table, leaf, depth, base)
    else:
        base.copy_(path_bias(base, table, leaf, depth))


def _add_paths(base: torch.Tensor, table: torch.Tensor, leaf: torch.Tensor, depth: int, out: torch.Tensor) -> None:
    count, width = base.shape
    if out.numel() == 0:
        return
    blocks = cuda_blocks.CUDA_BLOCKS.rows
    with on_device(base):
        _path_sums[(triton.cdiv(count, blocks.rows) * triton.cdiv(width, blocks.columns),)](
            base,
            table,
            leaf,
            out,
            count,
            width,
            *base.stride(),
            *table.stride(),
            leaf.stride(0),
            DEPTH=depth,
            BLOCK_TOKENS=blocks.rows,
            BLOCK_COLUMNS=blocks.columns,
            num_warps=blocks.warps,
        )


def path_bias_table_gradient(grad: torch.Tensor, leaf: torch.Tensor, depth: int) -> torch.Tensor:
    """dtable[node_l] += dy_n for l = 0..k: (N, q), (N,) -> (2^(k+1) - 1, q)."""
    leaves = 2**depth
    total = grad.new_empty(2 * leaves - 1, grad.shape[1], dtype=torch.float32)
    sum_groups(total[leaves - 1 :], grad, sort_tokens(leaf, leaves))
    add_children(total, depth)
    return total.to(grad.dtype)


def path_bias_touched_gradient(grad: torch.Tensor, leaf: torch.Tensor, depth: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The visited rows and their gradients, padded: (N, q), (N,) -> (M,), (M, q), M = min(N (k + 1), 2^(k+1) - 1)."""
    rows = 2 ** (depth + 1) - 1
    indices, entries = sort_tokens(node_rows(leaf, depth).reshape(-1), rows).compacted(rows)
    values = grad.new_empty(len(indices), grad.shape[1])
    sum_groups(values, grad, entries, per_source=depth + 1)
    return indices, values


@compile_kernel
def _path_sums(
    base: tl.tensor,
    table: tl.tensor,
    leaf: tl.tensor,
    out: tl.tensor,
    count: tl.tensor,
    width: tl.tensor,
    base_token: tl.tensor,
    base_column: tl.tensor,
    table_row: tl.tensor,
    table_column: tl.tensor,
    leaf_token: tl.tensor,
    DEPTH: tl.constexpr,
    BLOCK_TOKENS: tl.constexpr,
    BLOCK_COLUMNS: tl.constexpr,
) -> None:
    """A block of tokens and columns."""
    blocks = tl.cdiv(width, BLOCK_COLUMNS)
    tokens = (tl.program_id(0) // blocks).to(tl.int64) * BLOCK_TOKENS + tl.arange(0, BLOCK_TOKENS)
    columns = ((tl.program_id(0) % blocks) * BLOCK_COLUMNS + tl.arange(0, BLOCK_COLUMNS)).to(tl.int64)
    inside = (tokens < count)[:, None] & (columns < width)[None, :]
    index = tl.load(leaf + tokens * leaf_token, mask=tokens < count, other=0)
    sums = tl.zeros((BLOCK_TOKENS, BLOCK_COLUMNS), tl.float32)
    for level in tl.static_range(0, DEPTH + 1):
        row = (1 << level) - 1 + (index >> (DEPTH - level))
        vector = tl.load(table + row[:, None] * table_row + columns[None, :] * table_column, mask=inside, other=0.0)
        sums += vector.to(tl.float32)
    first = tl.load(base + tokens[:, None] * base_token + columns[None, :] * base_column, mask=inside, other=0.0)
    target = out + tokens[:, None] * width + columns[None, :]
    tl.store(target, (first.to(tl.float32) + sums).to(out.dtype.element_ty), mask=inside)
