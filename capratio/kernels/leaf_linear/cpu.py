"""leaf_linear on the CPU: groups with few tokens by compiled kernels, groups with many by the library's product."""

from collections.abc import Callable

import torch

from capratio.kernels.cpu.compiling import array, use_torch_threads
from capratio.kernels.cpu.index_check import outside
from capratio.kernels.cpu.node_groups import NodeGroups, group_tokens
from capratio.kernels.crossovers import CPU_CROSSOVERS
from capratio.kernels.leaf_linear.few_tokens import (
    multiply,
    multiply_tokens,
    multiply_tokens_transposed,
    multiply_transposed,
    put_rows,
)
from capratio.kernels.leaf_linear.outer import sum_outer_products
from capratio.kernels.precision import product_dtype


def leaf_linear(x: torch.Tensor, weight: torch.Tensor, node: torch.Tensor) -> torch.Tensor:
    """y_n = weight[node_n] x_n: (N, p), (R, q, p), (N,) -> (N, q).

    Raises InputError for a node that is no row of the weight; so do the gradients.
    """
    library = CPU_CROSSOVERS.library_product_from_tokens
    if len(x) < library:
        return _multiply_few(x, weight, node, weight.shape[1], multiply_tokens)
    return _multiply(x, weight, weight.transpose(1, 2), node, multiply, library)


def leaf_linear_bias(x: torch.Tensor, weight: torch.Tensor, node: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """y_n = weight[node_n] x_n + bias: (N, p), (R, q, p), (N,), (q,) -> (N, q)."""
    return leaf_linear(x, weight, node).add_(bias)


def leaf_linear_input_gradient(grad: torch.Tensor, weight: torch.Tensor, node: torch.Tensor) -> torch.Tensor:
    """dx_n = weight[node_n]^T dy_n: (N, q), (R, q, p), (N,) -> (N, p)."""
    library = CPU_CROSSOVERS.library_transposed_from_tokens
    if len(grad) < library:
        return _multiply_few(grad, weight, node, weight.shape[2], multiply_tokens_transposed)
    return _multiply(grad, weight, weight, node, multiply_transposed, library)


def leaf_linear_weight_gradient(grad: torch.Tensor, x: torch.Tensor, node: torch.Tensor, rows: int) -> torch.Tensor:
    """dW[r] = sum over the tokens n of node r of dy_n x_n^T: (N, q), (N, p), (N,) -> (rows, q, p)."""
    return sum_outer_products(grad, x, group_tokens(node, rows), rows)


def leaf_linear_touched_gradient(
    grad: torch.Tensor, x: torch.Tensor, node: torch.Tensor, rows: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """The visited rows and their gradients, padded: (N, q), (N, p), (N,) -> (M,), (M, q, p), M = min(N, rows)."""
    indices, groups = group_tokens(node, rows).compacted(rows)
    return indices, sum_outer_products(grad, x, groups, len(indices))


def _multiply_few(
    rows: torch.Tensor, weight: torch.Tensor, node: torch.Tensor, width: int, kernel: Callable[..., int]
) -> torch.Tensor:
    """The kernel's products (N, width) of so few tokens that one compiled call, sorting included, is all."""
    wide = product_dtype(rows)
    inputs = rows if rows.dtype == wide else rows.to(wide)
    out = inputs.new_empty(len(rows), width)
    use_torch_threads()
    wrong = kernel(array(inputs), array(weight), array(node), array(out))
    if wrong >= 0:
        raise outside(int(node[wrong]), len(weight))
    return out if rows.dtype == wide else out.to(rows.dtype)


def _multiply(
    rows: torch.Tensor,
    weight: torch.Tensor,
    matrices: torch.Tensor,
    node: torch.Tensor,
    kernel: Callable[..., None],
    library_from_tokens: int,
) -> torch.Tensor:
    """rows_n matrices[node_n]: (N, i), (R, i, o) -> (N, o); the kernel reads them as the ``weight`` that they view."""
    groups = group_tokens(node, len(weight))
    wide = rows.detach().to(product_dtype(rows))
    out = wide.new_empty(len(rows), matrices.shape[2])
    few, many = groups.split(library_from_tokens)
    use_torch_threads()
    if len(few.keys):
        kernel(array(wide), array(weight), *few, array(out))
    if len(many.keys):
        _multiply_many(wide, matrices, many, out)
    return out.to(rows.dtype)


def _multiply_many(wide: torch.Tensor, matrices: torch.Tensor, groups: NodeGroups, out: torch.Tensor) -> None:
    # Room for one group, which a cache holds: new memory for all tokens takes longer to map than to fill.
    largest = int((groups.ends - groups.begins).max())
    inputs, products = wide.new_empty(largest, wide.shape[1]), out.new_empty(largest, out.shape[1])
    order = torch.from_numpy(groups.order)
    for row, begin, end in zip(groups.keys.tolist(), groups.begins.tolist(), groups.ends.tolist(), strict=True):
        tokens, count = order[begin:end], end - begin
        torch.index_select(wide, 0, tokens, out=inputs[:count])
        torch.mm(inputs[:count], matrices[row].to(wide.dtype), out=products[:count])
        put_rows(array(products), groups.order, begin, end, array(out))
