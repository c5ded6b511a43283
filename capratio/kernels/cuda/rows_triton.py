"""Sums of the rows of sorted groups, in Triton: long groups in tiles, and a group's tiles in their order."""

import torch
import triton
import triton.language as tl

from capratio.kernels.cuda import cuda_blocks
from capratio.kernels.cuda.compiling_triton import compile_kernel, on_device
from capratio.kernels.cuda.token_tiles import TokenOrder


def sum_groups(
    out: torch.Tensor,
    source: torch.Tensor,
    entries: TokenOrder,
    *,
    scale: torch.Tensor | None = None,
    per_source: int = 1,
    per_scale: int = 1,
) -> None:
    """out[r] = sum over the entries e of key r, in their order, of scale[e / per_scale] source[e / per_source].

    out: (rows, q), contiguous, all of it written. source: (E / per_source, q). entries: sorted by key, (E,). scale:
    (E / per_scale,), contiguous; 1 where there is none.

    Tiles take no more than E / tile + min(E, rows) rows of float32.
    """
    blocks = cuda_blocks.CUDA_BLOCKS.rows
    offsets = entries.offsets(len(out))
    if len(entries.keys) <= blocks.tile:
        _sum_rows(out, source, entries.order, offsets[:-1], offsets[1:], scale, per_source, per_scale)
        return
    begins = entries.tiles(blocks.tile, len(out))
    # A tile ends where the next begins; those that are not needed begin and end behind the last entry.
    ends = torch.cat([begins[1:], offsets[-1:]])
    sums = out.new_empty(len(begins), out.shape[1], dtype=torch.float32)
    _sum_rows(sums, source, entries.order, begins, ends, scale, per_source, per_scale)
    in_order = torch.arange(len(begins), device=out.device)
    offsets = torch.searchsorted(begins, offsets)
    _sum_rows(out, sums, in_order, offsets[:-1], offsets[1:], None, 1, 1)


def _sum_rows(
    out: torch.Tensor,
    source: torch.Tensor,
    order: torch.Tensor,
    begins: torch.Tensor,
    ends: torch.Tensor,
    scale: torch.Tensor | None,
    per_source: int,
    per_scale: int,
) -> None:
    if out.numel() == 0:
        return
    rows, width = out.shape
    blocks = cuda_blocks.CUDA_BLOCKS.rows
    with on_device(out):
        _row_sums[(rows * triton.cdiv(width, blocks.columns),)](
            out,
            source,
            order,
            begins,
            ends,
            source if scale is None else scale,
            width,
            per_source,
            per_scale,
            *source.stride(),
            SCALED=scale is not None,
            BLOCK_ROWS=blocks.rows,
            BLOCK_COLUMNS=blocks.columns,
            num_warps=blocks.warps,
        )


@compile_kernel
def _row_sums(
    out: tl.tensor,
    source: tl.tensor,
    order: tl.tensor,
    begins: tl.tensor,
    ends: tl.tensor,
    scale: tl.tensor,
    width: tl.tensor,
    per_source: tl.tensor,
    per_scale: tl.tensor,
    source_row: tl.tensor,
    source_column: tl.tensor,
    SCALED: tl.constexpr,
    BLOCK_ROWS: tl.constexpr,
    BLOCK_COLUMNS: tl.constexpr,
) -> None:
    """A block of columns of one group's sum."""
    blocks = tl.cdiv(width, BLOCK_COLUMNS)
    group = (tl.program_id(0) // blocks).to(tl.int64)
    columns = ((tl.program_id(0) % blocks) * BLOCK_COLUMNS + tl.arange(0, BLOCK_COLUMNS)).to(tl.int64)
    end = tl.load(ends + group)
    terms = tl.zeros((BLOCK_ROWS, BLOCK_COLUMNS), tl.float32)
    for start in range(tl.load(begins + group), end, BLOCK_ROWS):
        places = start + tl.arange(0, BLOCK_ROWS)
        entries = tl.load(order + places, mask=places < end, other=0)
        rows = tl.load(
            source + (entries // per_source)[:, None] * source_row + columns[None, :] * source_column,
            mask=(places < end)[:, None] & (columns < width)[None, :],
            other=0.0,
        ).to(tl.float32)
        if SCALED:
            factors = tl.load(scale + entries // per_scale, mask=places < end, other=0.0).to(tl.float32)
            rows = rows * factors[:, None]
        terms += rows
    total = tl.sum(terms, axis=0)
    tl.store(out + group * width + columns, total.to(out.dtype.element_ty), mask=columns < width)
