"""block_linear on the CPU, compiled: of every weight block its own tokens, those that have both of its sides live."""

from typing import Any

import numpy as np
import torch

from capratio.kernels.block_linear.dots import multiply_dots
from capratio.kernels.block_linear.live_lists import count_pairs
from capratio.kernels.block_linear.one_mask import multiply_one_mask, one_mask
from capratio.kernels.block_linear.outer import sum_blocks, sum_live
from capratio.kernels.block_linear.panels import multiply
from capratio.kernels.block_linear.reference import visited_pairs
from capratio.kernels.cpu.compiling import array, use_torch_threads
from capratio.kernels.cpu.huge_pages import new_table
from capratio.kernels.cpu.lane_transposes import ROWS_OF_DOTS
from capratio.kernels.cpu.prefetching import LINE_BYTES
from capratio.kernels.precision import product_dtype, sum_dtype

# With fewer tokens a weight block, in the mean, or blocks of so few inputs, none is packed. On Zen 5, one thread,
# float32, 1024 x 1024, packed against not: blocks of 64, 6 / 8 / 26 / 102 tokens a block 0.19 / 0.23 / 0.38 / 1.5
# against 0.15 / 0.21 / 0.44 / 2.2 ms; blocks of 32, 6 / 26 / 102 tokens 0.24 / 0.51 / 2.8 against 0.15 / 0.51 / 2.9;
# blocks of 16, 0.40 / 1.0 / 5.1 against 0.18 / 0.60 / 3.3. Least of 21 calls; others used the machine too.
FEWEST_TOKENS_IN_PANELS = 12
NARROW_INPUTS = 16
# Fewer tokens are not worth gathering the live rows of the weight.
FEWEST_TOKENS_OF_ONE_MASK = 64


def block_linear(
    x: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    live_in: torch.Tensor,
    live_out: torch.Tensor,
) -> torch.Tensor:
    """y = ((x M_in) W^T + b) M_out: (N, p), (q, p), (q,), (N, B_in), (N, B_out) -> (N, q)."""
    rows = x.to(product_dtype(x))
    added = None if bias is None else bias.to(rows.dtype)
    out = new_table(rows, len(x), len(weight))
    if out.numel() == 0:
        return out.to(x.dtype)
    masks = array(live_in), array(live_out)
    operands = array(rows), array(weight), array(rows.new_empty(0) if added is None else added), *masks
    use_torch_threads()
    if len(x) >= FEWEST_TOKENS_OF_ONE_MASK and one_mask(masks[0]) and one_mask(masks[1]):
        multiply_one_mask(*operands, array(out))
    elif _fits_dots(weight, live_in, live_out, rows.dtype) and _wants_dots(weight, *masks):
        multiply_dots(*operands, array(out))
    else:
        multiply(*operands, False, array(out))
    return out.to(x.dtype)


def block_linear_input_gradient(
    grad: torch.Tensor, weight: torch.Tensor, live_in: torch.Tensor, live_out: torch.Tensor
) -> torch.Tensor:
    """dx = ((dy M_out) W) M_in: (N, q), (q, p), (N, B_in), (N, B_out) -> (N, p)."""
    rows = grad.to(product_dtype(grad))
    out = new_table(rows, len(grad), weight.shape[1])
    if out.numel():
        use_torch_threads()
        multiply(*map(array, (rows, weight, rows.new_empty(0), live_out, live_in)), True, array(out))
    return out.to(grad.dtype)


def block_linear_weight_gradient(
    grad: torch.Tensor, x: torch.Tensor, live_in: torch.Tensor, live_out: torch.Tensor
) -> torch.Tensor:
    """dW = (dy M_out)^T (x M_in): (N, q), (N, p), (N, B_in), (N, B_out) -> (q, p)."""
    in_blocks, out_blocks = live_in.shape[1], live_out.shape[1]
    total = new_table(grad, grad.shape[1], x.shape[1], dtype=product_dtype(grad))
    blocks = total.view(out_blocks, grad.shape[1] // out_blocks, in_blocks, x.shape[1] // in_blocks)
    _sum_blocks(grad, x, live_in, live_out, np.arange(out_blocks * in_blocks), blocks)
    return total.to(grad.dtype)


def block_linear_touched(
    grad: torch.Tensor, x: torch.Tensor, live_in: torch.Tensor, live_out: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """The blocks of dW that any token visits, row by row, and their gradients: -> (M,), (M, q / B_out, p / B_in)."""
    indices = visited_pairs(live_in, live_out)
    place = np.full(live_out.shape[1] * live_in.shape[1], -1)
    place[indices.numpy()] = np.arange(len(indices))
    high, wide = grad.shape[1] // live_out.shape[1], x.shape[1] // live_in.shape[1]
    values = new_table(grad, len(indices), high, wide, dtype=product_dtype(grad))
    _sum_blocks(grad, x, live_in, live_out, place, values.unsqueeze(2))
    return indices, values.to(grad.dtype)


def block_linear_bias_gradient(grad: torch.Tensor, live_out: torch.Tensor) -> torch.Tensor:
    """db = the sum over tokens of dy M_out: (N, q), (N, B_out) -> (q,)."""
    wide = sum_dtype(grad.dtype)
    out = grad.new_empty(grad.shape[1], dtype=wide)
    use_torch_threads()
    sum_live(array(grad.to(wide)), array(live_out), array(out))
    return out.to(grad.dtype)


def _fits_dots(weight: torch.Tensor, live_in: torch.Tensor, live_out: torch.Tensor, wide: torch.dtype) -> bool:
    """Whether blocks are whole lines and rows that can be read as they lie."""
    inputs, outputs = weight.shape[1] // live_in.shape[1], len(weight) // live_out.shape[1]
    whole = inputs % (LINE_BYTES // weight.itemsize) == 0 and outputs % ROWS_OF_DOTS == 0
    return whole and weight.dtype == wide


def _wants_dots(weight: torch.Tensor, live_in: Any, live_out: Any) -> bool:
    """Whether blocks are narrow or few tokens share one, by the masks as arrays."""
    in_blocks, out_blocks = int(live_in.shape[1]), int(live_out.shape[1])
    if weight.shape[1] // in_blocks <= NARROW_INPUTS:
        return True
    pairs: int = count_pairs(live_in, live_out)
    return pairs < FEWEST_TOKENS_IN_PANELS * in_blocks * out_blocks


def _sum_blocks(
    grad: torch.Tensor,
    x: torch.Tensor,
    live_in: torch.Tensor,
    live_out: torch.Tensor,
    place: np.ndarray[tuple[int], np.dtype[np.int64]],
    blocks: torch.Tensor,
) -> None:
    if blocks.numel():
        use_torch_threads()
        wide = blocks.dtype
        sum_blocks(array(grad.to(wide)), array(x.to(wide)), array(live_in), array(live_out), place, array(blocks))
