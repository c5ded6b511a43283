"""leaf_linear in plain torch: tokens sorted by node, one matrix product for each visited node."""

import torch

from capratio.kernels.precision import multiply_into, product_dtype
from capratio.kernels.routing import group_by_key
from capratio.kernels.touched_rows import touched_rows


def leaf_linear(x: torch.Tensor, weight: torch.Tensor, node: torch.Tensor) -> torch.Tensor:
    """y_n = weight[node_n] x_n: (N, p), (R, q, p), (N,) -> (N, q)."""
    return _multiply(x, weight.transpose(1, 2), node)


def leaf_linear_bias(x: torch.Tensor, weight: torch.Tensor, node: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """y_n = weight[node_n] x_n + bias: (N, p), (R, q, p), (N,), (q,) -> (N, q)."""
    return leaf_linear(x, weight, node).add_(bias)


def leaf_linear_input_gradient(grad: torch.Tensor, weight: torch.Tensor, node: torch.Tensor) -> torch.Tensor:
    """dx_n = weight[node_n]^T dy_n: (N, q), (R, q, p), (N,) -> (N, p)."""
    return _multiply(grad, weight, node)


def leaf_linear_weight_gradient(grad: torch.Tensor, x: torch.Tensor, node: torch.Tensor, rows: int) -> torch.Tensor:
    """dW[r] = sum over the tokens n of node r of dy_n x_n^T: (N, q), (N, p), (N,) -> (rows, q, p)."""
    total = grad.new_zeros(rows, grad.shape[1], x.shape[1])
    groups = group_by_key(node)
    columns = groups.gather(grad).to(product_dtype(grad)).t()
    inputs = groups.gather(x).to(product_dtype(x))
    for row, tokens in groups:
        multiply_into(total[row], columns[:, tokens], inputs[tokens])
    return total


def leaf_linear_touched_gradient(
    grad: torch.Tensor, x: torch.Tensor, node: torch.Tensor, rows: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """The visited rows and their gradients, padded: (N, q), (N, p), (N,) -> (M,), (M, q, p), M = min(N, rows)."""
    indices, place = touched_rows(node, rows)
    return indices, leaf_linear_weight_gradient(grad, x, place, len(indices))


def _multiply(x: torch.Tensor, matrices: torch.Tensor, node: torch.Tensor) -> torch.Tensor:
    if len(x) == 1:
        # One token needs no sorting, and no buffer to gather outputs in: these calls would outlast its product.
        wide = product_dtype(x)
        return torch.mm(x.to(wide), matrices[int(node)].to(wide)).to(x.dtype)
    groups = group_by_key(node)
    inputs = groups.gather(x).to(product_dtype(x))
    outputs = inputs.new_empty(len(x), matrices.shape[2])
    for row, tokens in groups:
        torch.mm(inputs[tokens], matrices[row].to(inputs.dtype), out=outputs[tokens])
    return groups.restore(outputs.to(x.dtype))
