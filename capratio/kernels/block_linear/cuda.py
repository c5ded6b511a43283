"""block_linear in Triton: tiles of the tokens that have an output block live, and the input blocks any of them has.

Tokens of a tile that have an input block dead are multiplied with zeros there; a block that is dead for the whole tile
is skipped. Every sum is made by one program, in the order of blocks or tokens, so that a repetition is bit-equal.
"""

import torch
import triton
import triton.language as tl

from capratio.kernels.block_linear.reference import block_linear_bias_gradient, visited_pairs
from capratio.kernels.cuda.compiling_triton import add_product, compile_kernel, on_device

__all__ = [
    "block_linear",
    "block_linear_bias_gradient",
    "block_linear_input_gradient",
    "block_linear_touched",
    "block_linear_weight_gradient",
]

# The fewest rows that a tensor core's product takes, so that few dead blocks are multiplied; and the most columns.
TOKENS, MOST_COLUMNS = 16, 64


def block_linear(
    x: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    live_in: torch.Tensor,
    live_out: torch.Tensor,
) -> torch.Tensor:
    """y = ((x M_in) W^T + b) M_out: (N, p), (q, p), (q,), (N, B_in), (N, B_out) -> (N, q)."""
    return _multiply(x, weight.t(), bias, live_in, live_out)


def block_linear_input_gradient(
    grad: torch.Tensor, weight: torch.Tensor, live_in: torch.Tensor, live_out: torch.Tensor
) -> torch.Tensor:
    """dx = ((dy M_out) W) M_in: (N, q), (q, p), (N, B_in), (N, B_out) -> (N, p)."""
    return _multiply(grad, weight, None, live_out, live_in)


def block_linear_weight_gradient(
    grad: torch.Tensor, x: torch.Tensor, live_in: torch.Tensor, live_out: torch.Tensor
) -> torch.Tensor:
    """dW = (dy M_out)^T (x M_in): (N, q), (N, p), (N, B_in), (N, B_out) -> (q, p)."""
    in_blocks, out_blocks = live_in.shape[1], live_out.shape[1]
    high, wide = grad.shape[1] // out_blocks, x.shape[1] // in_blocks
    total = grad.new_empty(out_blocks, high, in_blocks, wide)
    pairs = torch.arange(out_blocks * in_blocks, device=grad.device)
    _sum_blocks(grad, x, live_in, live_out, pairs, pairs, total)
    return total.view(grad.shape[1], x.shape[1])


def block_linear_touched(
    grad: torch.Tensor, x: torch.Tensor, live_in: torch.Tensor, live_out: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """The blocks of dW that any token visits, row by row, and their gradients: -> (M,), (M, q / B_out, p / B_in)."""
    pairs = visited_pairs(live_in, live_out)
    values = grad.new_empty(len(pairs), grad.shape[1] // live_out.shape[1], 1, x.shape[1] // live_in.shape[1])
    _sum_blocks(grad, x, live_in, live_out, pairs, torch.arange(len(pairs), device=grad.device), values)
    return pairs, values.squeeze(2)


def _live_first(live: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """For every block its tokens, those that have it live first and ascending, and how many have: -> (B, N), (B,)."""
    dead = live.t().logical_not().to(torch.uint8).contiguous()
    return torch.sort(dead, dim=1, stable=True).indices, live.sum(0)


def _columns(width: int) -> int:
    """Columns of a program, a power of two."""
    columns: int = triton.next_power_of_2(width)
    return min(max(columns, TOKENS), MOST_COLUMNS)


def _multiply(
    rows: torch.Tensor,
    matrix: torch.Tensor,
    bias: torch.Tensor | None,
    live_left: torch.Tensor,
    live_right: torch.Tensor,
) -> torch.Tensor:
    """((rows M_left) matrix + bias) M_right: (N, i), (i, o) -> (N, o)."""
    count, blocks = live_right.shape
    out = rows.new_zeros(count, matrix.shape[1])
    if out.numel() == 0:
        return out
    deep, wide = rows.shape[1] // live_left.shape[1], matrix.shape[1] // blocks
    order, counts = _live_first(live_right)
    columns = _columns(wide)
    with on_device(rows):
        _multiply_tiles[(blocks * triton.cdiv(wide, columns), triton.cdiv(count, TOKENS))](
            rows,
            matrix,
            out if bias is None else bias,
            live_left.contiguous(),
            order,
            counts,
            out,
            count,
            live_left.shape[1],
            deep,
            wide,
            *rows.stride(),
            *matrix.stride(),
            HAS_BIAS=bias is not None,
            TOKENS=TOKENS,
            DEEP=_columns(deep),
            WIDE=columns,
        )
    return out


def _sum_blocks(
    grad: torch.Tensor,
    x: torch.Tensor,
    live_in: torch.Tensor,
    live_out: torch.Tensor,
    pairs: torch.Tensor,
    places: torch.Tensor,
    total: torch.Tensor,
) -> None:
    """Write the gradient of each of the pairs i_out B_in + i_in to total[place // c, :, place % c]: (n, h, c, w)."""
    if total.numel() == 0:
        return
    _, high, columns, wide = total.shape
    order, counts = _live_first(live_out)
    rows_at_once, columns_at_once = _columns(high), _columns(wide)
    chunks = triton.cdiv(high, rows_at_once) * triton.cdiv(wide, columns_at_once)
    with on_device(grad):
        _sum_outer[(len(pairs), chunks)](
            grad,
            x,
            live_in.contiguous(),
            order,
            counts,
            pairs,
            places,
            total,
            len(grad),
            live_in.shape[1],
            high,
            wide,
            columns,
            *grad.stride(),
            *x.stride(),
            TOKENS=TOKENS,
            HIGH=rows_at_once,
            WIDE=columns_at_once,
        )


@compile_kernel
def _multiply_tiles(
    rows: tl.tensor,
    matrix: tl.tensor,
    bias: tl.tensor,
    live_left: tl.tensor,
    order: tl.tensor,
    counts: tl.tensor,
    out: tl.tensor,
    count: tl.tensor,
    blocks: tl.tensor,
    deep: tl.tensor,
    wide: tl.tensor,
    row_token: tl.tensor,
    row_column: tl.tensor,
    matrix_row: tl.tensor,
    matrix_column: tl.tensor,
    HAS_BIAS: tl.constexpr,
    TOKENS: tl.constexpr,
    DEEP: tl.constexpr,
    WIDE: tl.constexpr,
) -> None:
    """A tile of the tokens that have an output block live, and some columns of it."""
    chunks = tl.cdiv(wide, WIDE)
    right = (tl.program_id(0) // chunks).to(tl.int64)
    columns = (tl.program_id(0) % chunks) * WIDE + tl.arange(0, WIDE)
    places = tl.program_id(1).to(tl.int64) * TOKENS + tl.arange(0, TOKENS)
    there = places < tl.load(counts + right)
    if tl.sum(there.to(tl.int32), 0) > 0:
        tokens = tl.load(order + right * count + places, mask=there, other=0)
        sums = tl.zeros((TOKENS, WIDE), tl.float32)
        inside = (columns < wide)[None, :]
        for left in range(blocks):
            live = tl.load(live_left + tokens * blocks + left, mask=there, other=0).to(tl.int32)
            if tl.sum(live, 0) > 0:
                for start in range(0, deep, DEEP):
                    inner = start + tl.arange(0, DEEP)
                    features = left * deep + inner
                    values = tl.load(
                        rows + tokens[:, None] * row_token + features[None, :] * row_column,
                        mask=(live > 0)[:, None] & (inner < deep)[None, :],
                        other=0.0,
                    )
                    block = tl.load(
                        matrix + features[:, None] * matrix_row + (right * wide + columns)[None, :] * matrix_column,
                        mask=(inner < deep)[:, None] & inside,
                        other=0.0,
                    )
                    sums = add_product(sums, values, block)
        if HAS_BIAS:
            added = tl.load(bias + right * wide + columns, mask=columns < wide, other=0.0)
            sums += added.to(tl.float32)[None, :]
        width = wide * (tl.num_programs(0) // chunks)
        target = out + tokens[:, None] * width + (right * wide + columns)[None, :]
        tl.store(target, sums.to(out.dtype.element_ty), mask=there[:, None] & inside)


@compile_kernel
def _sum_outer(
    grad: tl.tensor,
    x: tl.tensor,
    live_in: tl.tensor,
    order: tl.tensor,
    counts: tl.tensor,
    pairs: tl.tensor,
    places: tl.tensor,
    total: tl.tensor,
    count: tl.tensor,
    blocks: tl.tensor,
    high: tl.tensor,
    wide: tl.tensor,
    place_columns: tl.tensor,
    grad_token: tl.tensor,
    grad_column: tl.tensor,
    x_token: tl.tensor,
    x_column: tl.tensor,
    TOKENS: tl.constexpr,
    HIGH: tl.constexpr,
    WIDE: tl.constexpr,
) -> None:
    """Some rows and columns of one block's gradient."""
    pair = tl.load(pairs + tl.program_id(0))
    left, right = pair % blocks, pair // blocks
    chunks = tl.cdiv(wide, WIDE)
    r = (tl.program_id(1) // chunks) * HIGH + tl.arange(0, HIGH)
    c = (tl.program_id(1) % chunks) * WIDE + tl.arange(0, WIDE)
    sums = tl.zeros((HIGH, WIDE), tl.float32)
    members = tl.load(counts + right)
    for start in range(0, members, TOKENS):
        entries = start + tl.arange(0, TOKENS)
        tokens = tl.load(order + right * count + entries, mask=entries < members, other=0)
        live = tl.load(live_in + tokens * blocks + left, mask=entries < members, other=0).to(tl.int32)
        if tl.sum(live, 0) > 0:
            incoming = tl.load(
                grad + tokens[None, :] * grad_token + (right * high + r)[:, None] * grad_column,
                mask=(live > 0)[None, :] & (r < high)[:, None],
                other=0.0,
            )
            inputs = tl.load(
                x + tokens[:, None] * x_token + (left * wide + c)[None, :] * x_column,
                mask=(live > 0)[:, None] & (c < wide)[None, :],
                other=0.0,
            )
            sums = add_product(sums, incoming, inputs)
    place = tl.load(places + tl.program_id(0))
    row = (place // place_columns) * high + r
    target = total + row[:, None] * (place_columns * wide) + (place % place_columns) * wide + c[None, :]
    tl.store(target, sums.to(total.dtype.element_ty), mask=(r < high)[:, None] & (c < wide)[None, :])
