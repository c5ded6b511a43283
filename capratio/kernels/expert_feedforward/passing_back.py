"""From the gradients of hidden features back through the activation, an assignment a task, compiled for the CPU."""

from typing import Any

import numpy as np
from numba import prange

from capratio.kernels.cpu.compiling import compile_parallel, compile_tile
from capratio.kernels.expert_feedforward.curves import slopes


@compile_parallel
def pass_back(kept: Any, units: Any, order: Any, share: Any, code: int, to_before: Any, to_share: Any) -> None:
    """The gradients of an activation and of the shares, from g, the gradient of unscaled hidden features.

    kept: (A or more, m), what the activation took. units: (A, h), g, in whose place come the hidden features times
    their share. order: (A,), the slot of each assignment. share: (N k,). to_before: (A, m), the gradient of what the
    activation took, written. to_share: (N k,), of which those of assignments are written.
    """
    hidden = units.shape[1]
    apart = to_before.shape[1] - hidden
    for a in prange(order.shape[0]):
        curve, slope = np.empty(hidden, units.dtype), np.empty(hidden, units.dtype)
        slopes(code, kept[a, :hidden], curve, slope)
        factor = share[order[a]]
        if apart:
            value = kept[a, apart:]
            _scale(to_before[a, apart:], factor, units[a], curve)
            _multiply(slope, value)
            _multiply(curve, value)
        _scale(to_before[a, :hidden], factor, units[a], slope)
        to_share[order[a]] = _dot(units[a], curve)
        for j in range(hidden):
            units[a, j] = factor * curve[j]


@compile_tile
def _multiply(total: Any, row: Any) -> None:
    """total *= row, both (n,)."""
    for j in range(total.shape[0]):
        total[j] *= row[j]


@compile_tile
def _scale(out: Any, factor: Any, left: Any, right: Any) -> None:
    """out = factor left right, all (n,)."""
    for j in range(out.shape[0]):
        out[j] = factor * left[j] * right[j]


@compile_tile
def _dot(left: Any, right: Any) -> Any:
    """left . right, both (n,)."""
    total = left.dtype.type(0)
    for j in range(left.shape[0]):
        total += left[j] * right[j]
    return total
