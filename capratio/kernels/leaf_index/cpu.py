"""leaf_index on the CPU, compiled."""

from typing import Any

import torch

from capratio.kernels.cpu.compiling import array, compile_kernel


def leaf_index(bits: torch.Tensor) -> torch.Tensor:
    """int(b_1..b_k): bool (..., k) -> int64 (...)."""
    leaf = bits.new_empty(bits.shape[:-1], dtype=torch.int64)
    _index(array(bits.reshape(leaf.numel(), bits.shape[-1])), array(leaf.view(-1)))
    return leaf


@compile_kernel
def _index(bits: Any, leaf: Any) -> None:
    for pattern in range(bits.shape[0]):
        index = 0
        for place in range(bits.shape[1]):
            index = 2 * index + bits[pattern, place]
        leaf[pattern] = index
