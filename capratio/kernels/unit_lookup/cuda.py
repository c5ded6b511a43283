"""unit_lookup in Triton: rows are read once and multiplied where they are read; no vector of a unit is stored."""

import torch
import triton
import triton.language as tl

from capratio.kernels.cuda import cuda_blocks
from capratio.kernels.cuda.compiling_triton import compile_kernel, on_device
from capratio.kernels.cuda.rows_triton import sum_groups
from capratio.kernels.cuda.token_tiles import TokenOrder, sort_tokens


def unit_lookup(x: torch.Tensor, table: torch.Tensor, node: torch.Tensor) -> torch.Tensor:
    """y_n = sum over j of x_nj (sum over m of table[node_njm]): (N, p), (rows, q), (N, p, m) -> (N, q).

    Where tokens are few, a token's units are shared out, and the shares added in their order.
    """
    count, units, nodes = node.shape
    width = table.shape[1]
    blocks = cuda_blocks.CUDA_BLOCKS.rows
    if count * width * units == 0:
        return x.new_zeros(count, width)
    programs = count * triton.cdiv(width, blocks.columns)
    shares = min(max(1, blocks.split_up_to_programs // programs), triton.cdiv(units, blocks.rows))
    share = triton.cdiv(triton.cdiv(units, shares), blocks.rows) * blocks.rows
    shares = triton.cdiv(units, share)
    # Flat, since torch lets nobody write into a view that an operation returns.
    out = x.new_empty(shares * count, width, dtype=torch.float32 if shares > 1 else x.dtype)
    with on_device(x):
        _unit_sums[(programs * shares,)](
            x,
            table,
            node,
            out,
            count,
            units,
            nodes,
            width,
            share,
            *x.stride(),
            *table.stride(),
            *node.stride(),
            BLOCK_UNITS=blocks.rows,
            BLOCK_COLUMNS=blocks.columns,
            num_warps=blocks.warps,
        )
    return out if shares == 1 else out.view(shares, count, width).sum(0).to(x.dtype)


def unit_lookup_input_gradient(grad: torch.Tensor, table: torch.Tensor, node: torch.Tensor) -> torch.Tensor:
    """dx_nj = (sum over m of table[node_njm]) . dy_n: (N, q), (rows, q), (N, p, m) -> (N, p)."""
    count, units, nodes = node.shape
    blocks = cuda_blocks.CUDA_BLOCKS.rows
    out = grad.new_empty(count, units)
    if out.numel() == 0:
        return out
    with on_device(grad):
        _unit_products[(count * triton.cdiv(units, blocks.rows),)](
            grad,
            table,
            node,
            out,
            units,
            nodes,
            table.shape[1],
            *grad.stride(),
            *table.stride(),
            *node.stride(),
            BLOCK_UNITS=blocks.rows,
            BLOCK_COLUMNS=blocks.columns,
            num_warps=blocks.warps,
        )
    return out


def unit_lookup_weight_gradient(grad: torch.Tensor, x: torch.Tensor, node: torch.Tensor, rows: int) -> torch.Tensor:
    """dtable[node_njm] += x_nj dy_n: (N, q), (N, p), (N, p, m) -> (rows, q).

    The entries (n, j, m) are sorted by their rows, and those of a row added in order.
    """
    return _sum_entries(grad, x, node, sort_tokens(node.reshape(-1), rows), rows)


def unit_lookup_touched_gradient(
    grad: torch.Tensor, x: torch.Tensor, node: torch.Tensor, rows: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """The visited rows and their gradients, padded: (N, q), (N, p), (N, p, m) -> (M,), (M, q), M = min(N p m, rows)."""
    indices, entries = sort_tokens(node.reshape(-1), rows).compacted(rows)
    return indices, _sum_entries(grad, x, node, entries, len(indices))


def _sum_entries(
    grad: torch.Tensor, x: torch.Tensor, node: torch.Tensor, entries: TokenOrder, rows: int
) -> torch.Tensor:
    _, units, nodes = node.shape
    total = grad.new_empty(rows, grad.shape[1])
    # A token without units has no entry, and divides nothing.
    per_source, per_scale = max(1, units * nodes), max(1, nodes)
    sum_groups(total, grad, entries, scale=x.reshape(-1).contiguous(), per_source=per_source, per_scale=per_scale)
    return total


@compile_kernel
def _unit_sums(
    x: tl.tensor,
    table: tl.tensor,
    node: tl.tensor,
    out: tl.tensor,
    count: tl.tensor,
    units: tl.tensor,
    nodes: tl.tensor,
    width: tl.tensor,
    share: tl.tensor,
    x_token: tl.tensor,
    x_unit: tl.tensor,
    table_row: tl.tensor,
    table_column: tl.tensor,
    node_token: tl.tensor,
    node_unit: tl.tensor,
    node_place: tl.tensor,
    BLOCK_UNITS: tl.constexpr,
    BLOCK_COLUMNS: tl.constexpr,
) -> None:
    """A block of columns of one token, over one share of its units."""
    blocks = tl.cdiv(width, BLOCK_COLUMNS)
    columns = ((tl.program_id(0) % blocks) * BLOCK_COLUMNS + tl.arange(0, BLOCK_COLUMNS)).to(tl.int64)
    # Rows of ``out`` are those of the first share, then of the second.
    row = (tl.program_id(0) // blocks).to(tl.int64)
    token = row % count
    begin = (row // count) * share
    end = tl.minimum(begin + share, units)
    terms = tl.zeros((BLOCK_UNITS, BLOCK_COLUMNS), tl.float32)
    for start in range(begin, end, BLOCK_UNITS):
        unit = start + tl.arange(0, BLOCK_UNITS)
        factors = tl.load(x + token * x_token + unit * x_unit, mask=unit < end, other=0.0).to(tl.float32)
        for place in range(0, nodes):
            at = node + token * node_token + unit * node_unit + place * node_place
            rows = tl.load(at, mask=unit < end, other=0)
            vectors = tl.load(
                table + rows[:, None] * table_row + columns[None, :] * table_column,
                mask=(unit < end)[:, None] & (columns < width)[None, :],
                other=0.0,
            )
            terms += vectors.to(tl.float32) * factors[:, None]
    total = tl.sum(terms, axis=0)
    tl.store(out + row * width + columns, total.to(out.dtype.element_ty), mask=columns < width)


@compile_kernel
def _unit_products(
    grad: tl.tensor,
    table: tl.tensor,
    node: tl.tensor,
    out: tl.tensor,
    units: tl.tensor,
    nodes: tl.tensor,
    width: tl.tensor,
    grad_token: tl.tensor,
    grad_column: tl.tensor,
    table_row: tl.tensor,
    table_column: tl.tensor,
    node_token: tl.tensor,
    node_unit: tl.tensor,
    node_place: tl.tensor,
    BLOCK_UNITS: tl.constexpr,
    BLOCK_COLUMNS: tl.constexpr,
) -> None:
    """A block of units of one token."""
    blocks = tl.cdiv(units, BLOCK_UNITS)
    token = (tl.program_id(0) // blocks).to(tl.int64)
    unit = ((tl.program_id(0) % blocks) * BLOCK_UNITS + tl.arange(0, BLOCK_UNITS)).to(tl.int64)
    terms = tl.zeros((BLOCK_UNITS, BLOCK_COLUMNS), tl.float32)
    for place in range(0, nodes):
        at = node + token * node_token + unit * node_unit + place * node_place
        rows = tl.load(at, mask=unit < units, other=0)
        for start in range(0, width, BLOCK_COLUMNS):
            columns = (start + tl.arange(0, BLOCK_COLUMNS)).to(tl.int64)
            factors = tl.load(grad + token * grad_token + columns * grad_column, mask=columns < width, other=0.0)
            vectors = tl.load(
                table + rows[:, None] * table_row + columns[None, :] * table_column,
                mask=(unit < units)[:, None] & (columns < width)[None, :],
                other=0.0,
            )
            terms += vectors.to(tl.float32) * factors.to(tl.float32)[None, :]
    total = tl.sum(terms, axis=1)
    tl.store(out + token * units + unit, total.to(out.dtype.element_ty), mask=unit < units)
