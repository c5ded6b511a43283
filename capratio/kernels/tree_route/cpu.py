"""tree_route on the CPU, compiled: one pass for the leaves, and a counting sort."""

from typing import Any

import numpy as np
import torch

from capratio.kernels.cpu.compiling import array, compile_kernel
from capratio.kernels.cpu.sorting import sort_by_key


def tree_route(values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """(leaf, order, starts) of values (N, k)."""
    # Half types compare as they are; their bits would not.
    wide = values if values.dtype == torch.bool or values.dtype.itemsize > 2 else values.float()
    leaf, order, starts = _route(array(wide))
    return torch.from_numpy(leaf), torch.from_numpy(order), torch.from_numpy(starts)


@compile_kernel
def _route(values: Any) -> Any:
    tokens, depth = values.shape
    leaf = np.empty(tokens, np.int64)
    for token in range(tokens):
        index = 0
        for place in range(depth):
            index = 2 * index + (values[token, place] > 0)
        leaf[token] = index
    order, _, visited = sort_by_key(leaf, 1 << depth)
    starts = np.full(min(tokens, 1 << depth) + 1, tokens, np.int64)
    starts[: visited.shape[0]] = visited
    return leaf, order, starts
