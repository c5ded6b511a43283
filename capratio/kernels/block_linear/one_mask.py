"""block_linear compiled for a batch whose tokens share their masks: one product of the gathered rows and columns."""

from typing import Any

import numpy as np
from numba import prange

from capratio.kernels.block_linear.live_lists import gather_live, live_lists
from capratio.kernels.cpu.compiling import compile_kernel, compile_parallel
from capratio.kernels.cpu.tile_products import PACKED, multiply_rows
from capratio.kernels.cpu.tiles import add_to, copy_row
from capratio.kernels.cpu.widening import read_row


@compile_kernel
def one_mask(live: Any) -> bool:
    """Whether every token has the mask of the first: (N, B) uint8."""
    for token in range(1, live.shape[0]):
        differing = 0
        for block in range(live.shape[1]):
            differing += live[token, block] != live[0, block]
        if differing > 0:
            return False
    return True


@compile_parallel
def multiply_one_mask(x: Any, weight: Any, bias: Any, live_in: Any, live_out: Any, out: Any) -> None:
    """out = ((x M_in) W^T + bias) M_out, where all rows of a mask are equal.

    x: (N, p). weight: (q, p), half types as bits. bias: (q,), or of no entries. live_in: (N, B_in), live_out: (N,
    B_out), uint8. out: (N, q).
    """
    tokens = x.shape[0]
    starts, listed = live_lists(live_in)
    inputs, outputs = listed[: starts[1]], np.flatnonzero(live_out[0])
    wide = x.shape[1] // live_in.shape[1]
    live_x = gather_live(x, starts, listed, wide)
    live_x = live_x.reshape(tokens, inputs.shape[0] * live_x.shape[1])
    factors = _live_rows(weight, inputs, outputs, wide, out.shape[1] // live_out.shape[1], live_x)
    for task in prange((tokens + PACKED - 1) // PACKED):
        first = task * PACKED
        last = min(first + PACKED, tokens)
        sums = np.empty((last - first, factors.shape[0]), out.dtype)
        multiply_rows(live_x[first:last], factors, np.arange(last - first), 0, sums)
        _put_blocks(sums, bias, outputs, first, out, out.shape[1] // live_out.shape[1])


@compile_parallel
def _live_rows(weight: Any, inputs: Any, outputs: Any, wide: int, high: int, live_x: Any) -> Any:
    """The live rows and columns: (live outputs, live inputs, each block of them as wide as those of live_x)."""
    rows = np.zeros((outputs.shape[0] * high, live_x.shape[1]), live_x.dtype)
    padded = live_x.shape[1] // max(inputs.shape[0], 1)
    for place in prange(rows.shape[0]):
        row = outputs[place // high] * high + place % high
        for entry in range(inputs.shape[0]):
            target = rows[place, entry * padded : entry * padded + wide]
            copy_row(target, read_row(weight[row, inputs[entry] * wide : (inputs[entry] + 1) * wide], target))
    return rows


@compile_kernel
def _put_blocks(sums: Any, bias: Any, outputs: Any, first: int, out: Any, high: int) -> None:
    """The sums (n, live outputs), plus the bias, in the live blocks of the tokens from the first on; else zeros."""
    for t in range(sums.shape[0]):
        row = out[first + t]
        row[:] = 0
        for place in range(outputs.shape[0]):
            begin, end = outputs[place] * high, (outputs[place] + 1) * high
            values = sums[t, place * high : (place + 1) * high]
            if bias.shape[0] > 0:
                add_to(row[begin:end], values, bias[begin:end])
            else:
                copy_row(row[begin:end], values)
