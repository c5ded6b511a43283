"""sign_leaf on the CPU, compiled: one pass, in which no value and no bit is written."""

from typing import Any

import torch
from numba import prange

from capratio.kernels.cpu.compiling import array, compile_parallel, use_torch_threads
from capratio.kernels.cpu.index_check import first_outside, outside


def sign_leaf(x: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
    """int(b_1..b_k) of the bits b_l = (x[chosen_l] > 0): (N, h), (..., k) -> int64 (N, ...).

    Raises InputError for a feature that x has not.
    """
    leaf = chosen.new_empty((x.shape[0], *chosen.shape[:-1]))
    # Half types compare as they are; their bits would not.
    values = array(x if x.itemsize > 2 else x.float())
    features, leaves = array(chosen), array(leaf)
    if features.ndim == 1:
        features, leaves = features[None], leaves[:, None]
    use_torch_threads()
    wrong = _find_leaves(values, features, leaves)
    if wrong >= 0:
        raise outside(int(chosen.view(-1)[wrong]), x.shape[1])
    return leaf


@compile_parallel
def _find_leaves(values: Any, chosen: Any, leaf: Any) -> int:
    """Find the leaves (N, patterns) by the features chosen (patterns, k).

    Returns -1, or where a feature is chosen that the values (N, h) have not; then nothing is written.
    """
    patterns, depth = chosen.shape
    wrong: int = first_outside(chosen.reshape(patterns * depth), values.shape[1])
    if wrong < 0:
        for token in prange(values.shape[0]):
            for pattern in range(patterns):
                index = 0
                for place in range(depth):
                    index = 2 * index + (values[token, chosen[pattern, place]] > 0)
                leaf[token, pattern] = index
    return wrong
