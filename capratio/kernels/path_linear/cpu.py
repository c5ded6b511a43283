"""path_linear on the CPU: paths formed a tile at a time by compiled kernels, or nodes applied level by level.

Where leaves hold many tokens, their formed matrices go to the library's product, as the reference has it.
"""

import numpy as np
import torch

from capratio.kernels.compiling import array, use_torch_threads
from capratio.kernels.crossovers import CPU_CROSSOVERS
from capratio.kernels.huge_pages import new_table
from capratio.kernels.leaf_index.cpu import leaf_index
from capratio.kernels.leaf_linear.outer import outer_products
from capratio.kernels.path_linear import reference
from capratio.kernels.path_linear.formed_tiles import carry_to_parents, multiply_formed, multiply_formed_transposed
from capratio.kernels.path_linear.ordering import resolve_order
from capratio.kernels.precision import product_dtype
from capratio.kernels.sorted_tokens import SortedTokens, sort_tokens


def path_linear(x: torch.Tensor, weight: torch.Tensor, bits: torch.Tensor, order: str) -> torch.Tensor:
    """y_n = (sum over l of weight[node_l]) x_n: (N, p), (2^(k+1) - 1, q, p), (N, k) -> (N, q)."""
    order = _resolved(order, weight, bits)
    tokens = _sort(bits)
    if order == "nodes" or _many(tokens):
        return reference.path_linear(x, weight, bits, order)
    inputs = tokens.gather(x)
    out = inputs.new_empty(len(x), weight.shape[1])
    use_torch_threads()
    multiply_formed(array(inputs), array(weight), bits.shape[1], order == "prefixes", *_ordered(tokens), array(out))
    return out.to(x.dtype)


def path_linear_input_gradient(
    grad: torch.Tensor, weight: torch.Tensor, bits: torch.Tensor, order: str
) -> torch.Tensor:
    """dx_n = (sum over l of weight[node_l])^T dy_n: (N, q), (2^(k+1) - 1, q, p), (N, k) -> (N, p)."""
    order = _resolved(order, weight, bits)
    tokens = _sort(bits)
    if order == "nodes" or _many(tokens):
        return reference.path_linear_input_gradient(grad, weight, bits, order)
    incoming = tokens.gather(grad)
    out = incoming.new_empty(len(grad), weight.shape[2])
    use_torch_threads()
    multiply_formed_transposed(
        array(incoming), array(weight), bits.shape[1], order == "prefixes", *_ordered(tokens), array(out)
    )
    return out.to(grad.dtype)


def path_linear_weight_gradient(
    grad: torch.Tensor, x: torch.Tensor, bits: torch.Tensor, rows: int, order: str
) -> torch.Tensor:
    """dW[node_l] += dy_n x_n^T for l = 0..k: (N, q), (N, p), (N, k) -> (rows, q, p).

    Leaf gradients are written once and carried to their parents (``prefixes``). The other orders, and half types, which
    need a wide sum on the way, run as the reference.
    """
    depth = bits.shape[1]
    total = new_table(grad, rows, grad.shape[1], x.shape[1])
    if _resolved(order, total, bits) != "prefixes" or product_dtype(grad) != grad.dtype:
        return reference.path_linear_weight_gradient(grad, x, bits, rows, order)
    tokens = _sort(bits)
    outer_products(tokens.gather(grad), tokens.gather(x), tokens, np.arange(1 << depth), total[(1 << depth) - 1 :])
    visited = np.zeros(rows, np.uint8)
    for level in range(depth + 1):
        visited[(1 << level) - 1 + (tokens.keys >> (depth - level))] = 1
    use_torch_threads()
    carry_to_parents(array(total), depth, visited)
    return total


def _sort(bits: torch.Tensor) -> SortedTokens:
    return sort_tokens(leaf_index(bits), 1 << bits.shape[1])


def _ordered(tokens: SortedTokens) -> tuple[object, ...]:
    return tokens.order, tokens.keys, np.append(tokens.begins, len(tokens.order))


def _many(tokens: SortedTokens) -> bool:
    """Whether the visited leaves hold so many tokens on average that the library's product is faster."""
    return len(tokens.order) >= CPU_CROSSOVERS.library_product_from_tokens * max(len(tokens.keys), 1)


def _resolved(order: str, weight: torch.Tensor, bits: torch.Tensor) -> str:
    _, q, p = weight.shape
    return resolve_order(order, len(bits), p, q, bits.shape[1], weight.itemsize)
