"""block_linear in plain torch: tokens of the same masks together, one product of their live rows and columns."""

from collections.abc import Iterator

import torch

from capratio.kernels.precision import product_dtype, sum_dtype


def block_linear(
    x: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    live_in: torch.Tensor,
    live_out: torch.Tensor,
) -> torch.Tensor:
    """y = ((x M_in) W^T + b) M_out: (N, p), (q, p), (q,), (N, B_in), (N, B_out) -> (N, q)."""
    out = _multiply(x, weight.t(), live_in, live_out)
    if bias is not None:
        out += torch.where(spread(live_out, len(bias)), bias.to(out.dtype), 0)
    return out.to(x.dtype)


def block_linear_input_gradient(
    grad: torch.Tensor, weight: torch.Tensor, live_in: torch.Tensor, live_out: torch.Tensor
) -> torch.Tensor:
    """dx = ((dy M_out) W) M_in: (N, q), (q, p), (N, B_in), (N, B_out) -> (N, p)."""
    return _multiply(grad, weight, live_out, live_in).to(grad.dtype)


def block_linear_weight_gradient(
    grad: torch.Tensor, x: torch.Tensor, live_in: torch.Tensor, live_out: torch.Tensor
) -> torch.Tensor:
    """dW = (dy M_out)^T (x M_in): (N, q), (N, p), (N, B_in), (N, B_out) -> (q, p)."""
    indices, values = block_linear_touched(grad, x, live_in, live_out)
    in_blocks, out_blocks = live_in.shape[1], live_out.shape[1]
    blocks = grad.new_zeros(out_blocks * in_blocks, *values.shape[1:])
    blocks[indices] = values
    high, wide = values.shape[1:]
    return blocks.view(out_blocks, in_blocks, high, wide).transpose(1, 2).reshape(grad.shape[1], x.shape[1])


def block_linear_touched(
    grad: torch.Tensor, x: torch.Tensor, live_in: torch.Tensor, live_out: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """The blocks of dW that any token visits, row by row, and their gradients: -> (M,), (M, q / B_out, p / B_in)."""
    in_blocks, wide = live_in.shape[1], x.shape[1] // live_in.shape[1]
    high = grad.shape[1] // live_out.shape[1]
    indices = visited_pairs(live_in, live_out)
    values = grad.new_empty(len(indices), high, wide)
    for place, index in enumerate(indices.tolist()):
        row, column = divmod(index, in_blocks)
        tokens = (live_out[:, row] & live_in[:, column]).nonzero().squeeze(1)
        left = grad[tokens, row * high : (row + 1) * high]
        right = x[tokens, column * wide : (column + 1) * wide]
        values[place] = torch.mm(left.t().to(product_dtype(left)), right.to(product_dtype(right)))
    return indices, values


def block_linear_bias_gradient(grad: torch.Tensor, live_out: torch.Tensor) -> torch.Tensor:
    """db = the sum over tokens of dy M_out: (N, q), (N, B_out) -> (q,)."""
    kept = torch.where(spread(live_out, grad.shape[1]), grad, 0)
    return kept.sum(0, dtype=sum_dtype(grad.dtype)).to(grad.dtype)


def visited_pairs(live_in: torch.Tensor, live_out: torch.Tensor) -> torch.Tensor:
    """The weight blocks that any token visits, i_out B_in + i_in, ascending: (N, B_in), (N, B_out) -> (M,) int64."""
    visits = torch.mm(live_out.t().to(torch.float32), live_in.to(torch.float32))
    return (visits.flatten() > 0).nonzero().squeeze(1)


def _multiply(
    rows: torch.Tensor, matrix: torch.Tensor, live_left: torch.Tensor, live_right: torch.Tensor
) -> torch.Tensor:
    """((rows M_left) matrix) M_right, in the dtype of products: (N, i), (i, o) -> (N, o)."""
    wide = product_dtype(rows)
    out = rows.new_zeros(len(rows), matrix.shape[1], dtype=wide)
    for tokens, left, right in _groups(live_left, live_right):
        i, o = _places(left, len(matrix)), _places(right, matrix.shape[1])
        out[tokens[:, None], o] = torch.mm(rows[tokens[:, None], i].to(wide), matrix[i[:, None], o].to(wide))
    return out


def _groups(
    live_left: torch.Tensor, live_right: torch.Tensor
) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
    """The tokens of each pair of masks that a batch has, and the two masks."""
    masks, place = torch.unique(torch.cat((live_left, live_right), 1), dim=0, return_inverse=True)
    for group, mask in enumerate(masks):
        left, right = mask.split((live_left.shape[1], live_right.shape[1]))
        yield (place == group).nonzero().squeeze(1), left, right


def _places(mask: torch.Tensor, features: int) -> torch.Tensor:
    """The features of a mask's live blocks: (B,) -> (n,)."""
    return spread(mask, features).nonzero().squeeze(1)


def spread(mask: torch.Tensor, features: int) -> torch.Tensor:
    """Every entry repeated for the features of its block: (..., B) -> (..., features)."""
    return mask.repeat_interleave(features // mask.shape[-1], dim=-1)
