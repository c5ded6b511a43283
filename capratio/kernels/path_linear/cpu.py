"""path_linear on the CPU: paths formed a tile at a time by compiled kernels, or nodes applied level by level.

Where leaves hold many tokens, their formed matrices go to the library's product, as the reference has it.
"""

from collections.abc import Callable

import numpy as np
import torch

from capratio.kernels.cpu.compiling import array, use_torch_threads
from capratio.kernels.cpu.huge_pages import new_table
from capratio.kernels.cpu.node_groups import Integers, NodeGroups, group_tokens, padded_rows
from capratio.kernels.crossovers import CPU_CROSSOVERS
from capratio.kernels.leaf_index.cpu import leaf_index
from capratio.kernels.leaf_linear.outer import outer_products, sum_outer_products
from capratio.kernels.path_linear import reference
from capratio.kernels.path_linear.formed_tiles import carry_to_parents, multiply_formed, multiply_formed_transposed
from capratio.kernels.path_linear.node_levels import multiply_levels
from capratio.kernels.path_linear.ordering import order_of, resolve_order
from capratio.kernels.precision import product_dtype


def path_linear(x: torch.Tensor, weight: torch.Tensor, bits: torch.Tensor, order: str) -> torch.Tensor:
    """y_n = (sum over l of weight[node_l]) x_n: (N, p), (2^(k+1) - 1, q, p), (N, k) -> (N, q)."""
    order = order_of(order, weight, bits, tiled=True)
    out = _multiply(x, weight, bits, order, multiply_formed, weight.shape[1])
    return reference.path_linear(x, weight, bits, order) if out is None else out


def path_linear_input_gradient(
    grad: torch.Tensor, weight: torch.Tensor, bits: torch.Tensor, order: str
) -> torch.Tensor:
    """dx_n = (sum over l of weight[node_l])^T dy_n: (N, q), (2^(k+1) - 1, q, p), (N, k) -> (N, p)."""
    order = order_of(order, weight, bits, tiled=True)
    out = _multiply(grad, weight, bits, order, multiply_formed_transposed, weight.shape[2])
    return reference.path_linear_input_gradient(grad, weight, bits, order) if out is None else out


def path_linear_weight_gradient(
    grad: torch.Tensor, x: torch.Tensor, bits: torch.Tensor, rows: int, order: str
) -> torch.Tensor:
    """dW[node_l] += dy_n x_n^T for l = 0..k: (N, q), (N, p), (N, k) -> (rows, q, p).

    In the order ``nodes``, and for half types, which would be rounded on the way, each node sums over its own tokens;
    else leaf gradients are written once and carried to their parents.
    """
    depth, groups = bits.shape[1], _group(bits)
    paths = groups.paths(depth)
    if not _carries(grad, x, bits, order):
        return sum_outer_products(grad, x, paths, rows)
    return _carry(grad, x, groups, depth, paths.keys, np.arange(rows), rows)


def path_linear_touched_gradient(
    grad: torch.Tensor, x: torch.Tensor, bits: torch.Tensor, rows: int, order: str
) -> tuple[torch.Tensor, torch.Tensor]:
    """The visited rows and their gradients, padded: (N, q), (N, p), (N, k) -> (M,), (M, q, p).

    M = min(N (k + 1), rows). Runs as path_linear_weight_gradient does.
    """
    depth, groups = bits.shape[1], _group(bits)
    paths = groups.paths(depth)
    indices = padded_rows(paths.keys, len(bits) * (depth + 1), rows)
    if not _carries(grad, x, bits, order):
        compact = paths._replace(keys=np.arange(len(paths.keys)))
        return indices, sum_outer_products(grad, x, compact, len(indices))
    return indices, _carry(grad, x, groups, depth, paths.keys, paths.keys, len(indices))


def _carry(
    grad: torch.Tensor,
    x: torch.Tensor,
    groups: NodeGroups,
    depth: int,
    visited: Integers,
    nodes: Integers,
    rows: int,
) -> torch.Tensor:
    """The gradients of ``nodes`` in the first rows of (rows, q, p), and zeros behind them.

    groups: tokens by leaf. visited: the nodes on their paths. nodes: these, or all of the tree; both in level order.
    """
    total = new_table(grad, rows, grad.shape[1], x.shape[1])
    starts = np.searchsorted(nodes, (1 << np.arange(depth + 2)) - 1)
    above = starts[depth]
    leaves = groups._replace(keys=np.searchsorted(nodes, groups.keys + (1 << depth) - 1) - above)
    outer_products(groups.gather(grad), groups.gather(x), leaves, total[above:])
    use_torch_threads()
    children = 2 * nodes[:above, None] + np.array([1, 2])
    rows_of = np.where(np.isin(children, visited), np.searchsorted(nodes, children), -1)
    carry_to_parents(array(total), starts, rows_of)
    return total


def _carries(grad: torch.Tensor, x: torch.Tensor, bits: torch.Tensor, order: str) -> bool:
    """Whether leaf gradients are carried to their parents."""
    resolved = resolve_order(order, len(bits), x.shape[1], grad.shape[1], bits.shape[1], grad.itemsize, tiled=True)
    return resolved != "nodes" and product_dtype(grad) == grad.dtype


def _multiply(
    rows: torch.Tensor,
    weight: torch.Tensor,
    bits: torch.Tensor,
    order: str,
    form: Callable[..., None],
    width: int,
) -> torch.Tensor | None:
    """The products (N, width), by ``form`` where paths are formed, or None where the library's product is faster."""
    depth = bits.shape[1]
    groups = _group(bits)
    many = len(bits) >= CPU_CROSSOVERS.library_path_from_tokens * max(len(groups.keys), 1)
    if order != "nodes" and many:
        return None
    inputs = rows.detach().to(product_dtype(rows))
    out = inputs.new_empty(len(rows), width)
    sorted_tokens = groups.order, groups.keys, np.append(groups.begins, len(bits))
    use_torch_threads()
    if order == "nodes":
        transposed = form is multiply_formed_transposed
        multiply_levels(array(inputs), array(weight), depth, transposed, *sorted_tokens, array(out))
    else:
        form(array(inputs), array(weight), depth, order == "prefixes", *sorted_tokens, array(out))
    return out.to(rows.dtype)


def _group(bits: torch.Tensor) -> NodeGroups:
    return group_tokens(leaf_index(bits), 1 << bits.shape[1])
