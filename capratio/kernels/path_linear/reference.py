"""path_linear in plain torch: tokens sorted by leaf; matrices formed for each leaf, or nodes applied level by level."""

import torch

from capratio.kernels.leaf_index.reference import leaf_index
from capratio.kernels.path_linear.ordering import order_of
from capratio.kernels.path_linear.path_matrices import leaf_matrices, prefix_matrices
from capratio.kernels.path_linear.path_sums import PathSums, Places
from capratio.kernels.precision import multiply_into, product_dtype, sum_dtype
from capratio.kernels.routing import TokenGroups, group_by_leaf, node_rows
from capratio.kernels.touched_rows import touched_rows


def path_linear(x: torch.Tensor, weight: torch.Tensor, bits: torch.Tensor, order: str) -> torch.Tensor:
    """y_n = (sum over l of weight[node_l]) x_n: (N, p), (2^(k+1) - 1, q, p), (N, k) -> (N, q)."""
    return _multiply(x, weight.transpose(1, 2), bits, order_of(order, weight, bits, tiled=False))


def path_linear_input_gradient(
    grad: torch.Tensor, weight: torch.Tensor, bits: torch.Tensor, order: str
) -> torch.Tensor:
    """dx_n = (sum over l of weight[node_l])^T dy_n: (N, q), (2^(k+1) - 1, q, p), (N, k) -> (N, p)."""
    return _multiply(grad, weight, bits, order_of(order, weight, bits, tiled=False))


def path_linear_weight_gradient(
    grad: torch.Tensor, x: torch.Tensor, bits: torch.Tensor, rows: int, order: str
) -> torch.Tensor:
    """dW[node_l] += dy_n x_n^T for l = 0..k: (N, q), (N, p), (N, k) -> (rows, q, p)."""
    return _sum_gradients(grad, x, bits, rows, range(rows), order)


def path_linear_touched_gradient(
    grad: torch.Tensor, x: torch.Tensor, bits: torch.Tensor, rows: int, order: str
) -> tuple[torch.Tensor, torch.Tensor]:
    """The visited rows and their gradients, padded: (N, q), (N, p), (N, k) -> (M,), (M, q, p).

    M = min(N (k + 1), rows).
    """
    indices, _ = touched_rows(node_rows(leaf_index(bits), bits.shape[1]), rows)
    places = {row: place for place, row in enumerate(indices.tolist())}
    return indices, _sum_gradients(grad, x, bits, len(indices), places, order)


def _sum_gradients(
    grad: torch.Tensor, x: torch.Tensor, bits: torch.Tensor, rows: int, places: Places, order: str
) -> torch.Tensor:
    """The gradient of each node at its place in (rows, q, p), and zeros elsewhere."""
    depth = bits.shape[1]
    total = grad.new_zeros(rows, grad.shape[1], x.shape[1])
    groups = group_by_leaf(bits)
    columns = groups.gather(grad).to(product_dtype(grad)).t()
    inputs = groups.gather(x).to(product_dtype(x))
    order = order_of(order, total, bits, tiled=False)
    if order == "nodes":
        for level in range(depth + 1):
            for prefix, tokens in groups.prefixes(depth - level):
                multiply_into(total[places[2**level - 1 + prefix]], columns[:, tokens], inputs[tokens])
        return total
    sums = PathSums(total, depth, places, carry=order == "prefixes")
    for leaf, tokens in groups:
        path = sums.enter(leaf)
        if order == "prefixes":
            multiply_into(path[-1], columns[:, tokens], inputs[tokens])
        else:
            gradient = torch.mm(columns[:, tokens], inputs[tokens])
            for node_sum in path:
                node_sum.add_(gradient)
    sums.leave()
    return total


def _multiply(x: torch.Tensor, matrices: torch.Tensor, bits: torch.Tensor, order: str) -> torch.Tensor:
    depth = bits.shape[1]
    groups = group_by_leaf(bits)
    inputs = groups.gather(x).to(product_dtype(x))
    if order == "nodes":
        return groups.restore(_apply_nodes(inputs, matrices, groups, depth).to(x.dtype))
    form = leaf_matrices if order == "leaves" else prefix_matrices
    if len(x) == 1:
        # One token needs no buffer to gather outputs in.
        ((matrix, _),) = form(matrices, groups, depth)
        return torch.mm(inputs, matrix.to(inputs.dtype)).to(x.dtype)
    outputs = inputs.new_empty(len(x), matrices.shape[2])
    for matrix, tokens in form(matrices, groups, depth):
        torch.mm(inputs[tokens], matrix.to(inputs.dtype), out=outputs[tokens])
    return groups.restore(outputs.to(x.dtype))


def _apply_nodes(inputs: torch.Tensor, matrices: torch.Tensor, groups: TokenGroups, depth: int) -> torch.Tensor:
    total = torch.mm(inputs, matrices[0].to(inputs.dtype)).to(sum_dtype(inputs.dtype))
    for level in range(1, depth + 1):
        for prefix, tokens in groups.prefixes(depth - level):
            matrix = matrices[2**level - 1 + prefix].to(inputs.dtype)
            total[tokens].add_(torch.mm(inputs[tokens], matrix))
    return total
