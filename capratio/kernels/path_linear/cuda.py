"""path_linear on a GPU: matrices are formed block by block where they are multiplied, or nodes applied level by level.

Of the orders ``leaves`` and ``prefixes`` are one here: a block of a leaf's matrix is added up in registers, for each
tile of the leaf's tokens, and shared prefixes are found in the second-level cache; storing them, as the reference does,
would need memory of the size of the table. So both read a node once for each tile, and are equal to the bit.
``nodes`` multiplies by the root in the library, and by each lower level in the kernel of leaf_linear.
"""

import torch

from capratio.kernels.cuda.grouped_triton import add_products, multiply
from capratio.kernels.cuda.leaf_triton import leaves
from capratio.kernels.cuda.outer_triton import sum_outer_products
from capratio.kernels.cuda.token_tiles import add_children, sort_tokens
from capratio.kernels.path_linear.ordering import order_of
from capratio.kernels.routing import node_rows


def path_linear(x: torch.Tensor, weight: torch.Tensor, bits: torch.Tensor, order: str) -> torch.Tensor:
    """y_n = (sum over l of weight[node_l]) x_n: (N, p), (2^(k+1) - 1, q, p), (N, k) -> (N, q).

    Raises InputError for a dtype other than float32, bfloat16 and float16; so do the gradients.
    """
    return _multiply(x, weight, bits, order_of(order, weight, bits, tiled=False))


def path_linear_input_gradient(
    grad: torch.Tensor, weight: torch.Tensor, bits: torch.Tensor, order: str
) -> torch.Tensor:
    """dx_n = (sum over l of weight[node_l])^T dy_n: (N, q), (2^(k+1) - 1, q, p), (N, k) -> (N, p)."""
    return _multiply(grad, weight.transpose(1, 2), bits, order_of(order, weight, bits, tiled=False))


def path_linear_weight_gradient(
    grad: torch.Tensor, x: torch.Tensor, bits: torch.Tensor, rows: int, order: str
) -> torch.Tensor:
    """dW[node_l] += dy_n x_n^T for l = 0..k: (N, q), (N, p), (N, k) -> (rows, q, p).

    Sums of leaves are added into those of their parents, but where the order is ``nodes``, and for half types, whose
    sums would be rounded at every level: there each node sums over its own tokens.
    """
    depth = bits.shape[1]
    count = 2**depth
    total = grad.new_empty(rows, grad.shape[1], x.shape[1])
    tokens = sort_tokens(leaves(bits), count)
    offsets = tokens.offsets(count)
    if total.itemsize == 4 and order_of(order, total, bits, tiled=False) != "nodes":
        sum_outer_products(total[count - 1 :], grad, x, tokens.order, offsets[:-1], offsets[1:], count)
        add_children(total, depth)
        return total
    steps = [2 ** (depth - level) for level in range(depth + 1)]
    begins = torch.cat([offsets[:-1:step] for step in steps])
    ends = torch.cat([offsets[step::step] for step in steps])
    sum_outer_products(total, grad, x, tokens.order, begins, ends, rows)
    return total


def path_linear_touched_gradient(
    grad: torch.Tensor, x: torch.Tensor, bits: torch.Tensor, rows: int, order: str
) -> tuple[torch.Tensor, torch.Tensor]:
    """The visited rows and their gradients, padded: (N, q), (N, p), (N, k) -> (M,), (M, q, p).

    M = min(N (k + 1), rows). Each node sums over its own tokens, whatever the order.
    """
    depth = bits.shape[1]
    indices, entries = sort_tokens(node_rows(leaves(bits), depth).reshape(-1), rows).compacted(rows)
    values = grad.new_empty(len(indices), grad.shape[1], x.shape[1])
    offsets = entries.offsets(len(indices))
    sum_outer_products(values, grad, x, entries.order // (depth + 1), offsets[:-1], offsets[1:], rows)
    return indices, values


def _multiply(x: torch.Tensor, matrices: torch.Tensor, bits: torch.Tensor, order: str) -> torch.Tensor:
    """x: (N, i), matrices: (2^(k+1) - 1, o, i), bits: (N, k) -> (N, o)."""
    depth = bits.shape[1]
    leaf = leaves(bits)
    if order != "nodes":
        return multiply(x, matrices, leaf, depth)
    total = torch.mm(x, matrices[0].t()).to(torch.float32)
    tokens = sort_tokens(leaf, 2**depth)
    for level in range(1, depth + 1):
        nodes = matrices[2**level - 1 : 2 ** (level + 1) - 1]
        add_products(total, x, nodes, tokens.shifted(depth - level))
    return total.to(x.dtype)
