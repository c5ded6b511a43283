"""tree_descent on the CPU, compiled: a token goes all its way down before the next one, and only its way is read."""

from typing import Any

import numpy as np
import torch
from numba import prange

from capratio.kernels.cpu.compiling import array, compile_parallel, use_torch_threads
from capratio.kernels.cpu.tiles import dot_one
from capratio.kernels.cpu.widening import read_row
from capratio.kernels.precision import product_dtype


def tree_descent(x: torch.Tensor, weight: torch.Tensor, offset: torch.Tensor, depth: int) -> torch.Tensor:
    """The leaf, from node n on to 2n + 1 + [weight_n . x + offset_n > 0]: (N, p), (2^k - 1, p), (2^k - 1,) -> (N,)."""
    wide = x.to(product_dtype(x))
    leaf = x.new_empty(len(x), dtype=torch.int64)
    use_torch_threads()
    _find_leaves(array(wide), array(weight), array(offset.to(wide.dtype)), depth, array(leaf))
    return leaf


def neuron_path(x: torch.Tensor, weight: torch.Tensor, depth: int) -> tuple[torch.Tensor, torch.Tensor]:
    """(node, value) with value_l = weight[node_l] . x, by which the way goes on: (N, p), (2^(k+1) - 1, p)."""
    wide = x.to(product_dtype(x))
    value = wide.new_empty(len(x), depth + 1)
    node = torch.empty_like(value, dtype=torch.int64)
    use_torch_threads()
    _walk(array(wide), array(weight), array(node), array(value))
    return node, value.to(x.dtype)


@compile_parallel
def _find_leaves(x: Any, weight: Any, offset: Any, depth: int, leaf: Any) -> None:
    for token in prange(x.shape[0]):
        buffer = np.empty(x.shape[1], x.dtype)
        zero = x.dtype.type(0)
        at = 0
        for _ in range(depth):
            score = dot_one(read_row(weight[at], buffer), x[token], zero) + offset[at]
            at = 2 * at + 1 + (score > 0)
        leaf[token] = at - ((1 << depth) - 1)


@compile_parallel
def _walk(x: Any, weight: Any, node: Any, value: Any) -> None:
    for token in prange(x.shape[0]):
        buffer = np.empty(x.shape[1], x.dtype)
        zero = x.dtype.type(0)
        at = 0
        for level in range(node.shape[1]):
            score = dot_one(read_row(weight[at], buffer), x[token], zero)
            node[token, level] = at
            value[token, level] = score
            at = 2 * at + 1 + (score > 0)
