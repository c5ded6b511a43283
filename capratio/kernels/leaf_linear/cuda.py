"""leaf_linear in Triton: groups of any size by one kernel, whose blocks are chosen by the mean size."""

import torch

from capratio.kernels.cuda.grouped_triton import multiply
from capratio.kernels.cuda.outer_triton import sum_outer_products
from capratio.kernels.cuda.token_tiles import TokenOrder, sort_tokens


def leaf_linear(x: torch.Tensor, weight: torch.Tensor, node: torch.Tensor) -> torch.Tensor:
    """y_n = weight[node_n] x_n: (N, p), (R, q, p), (N,) -> (N, q).

    Raises InputError for a dtype other than float32, bfloat16 and float16; so do the gradients.
    """
    return multiply(x, weight, node)


def leaf_linear_bias(x: torch.Tensor, weight: torch.Tensor, node: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """As leaf_linear, y_n = weight[node_n] x_n + bias, which is added before sums are rounded and stored."""
    return multiply(x, weight, node, bias=bias)


def leaf_linear_input_gradient(grad: torch.Tensor, weight: torch.Tensor, node: torch.Tensor) -> torch.Tensor:
    """dx_n = weight[node_n]^T dy_n: (N, q), (R, q, p), (N,) -> (N, p)."""
    return multiply(grad, weight.transpose(1, 2), node)


def leaf_linear_weight_gradient(grad: torch.Tensor, x: torch.Tensor, node: torch.Tensor, rows: int) -> torch.Tensor:
    """dW[r] = sum over the tokens n of node r of dy_n x_n^T: (N, q), (N, p), (N,) -> (rows, q, p)."""
    return _sum_outer(grad, x, sort_tokens(node, rows), rows)


def leaf_linear_touched_gradient(
    grad: torch.Tensor, x: torch.Tensor, node: torch.Tensor, rows: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """The visited rows and their gradients, padded: (N, q), (N, p), (N,) -> (M,), (M, q, p), M = min(N, rows)."""
    indices, tokens = sort_tokens(node, rows).compacted(rows)
    return indices, _sum_outer(grad, x, tokens, len(indices))


def _sum_outer(grad: torch.Tensor, x: torch.Tensor, tokens: TokenOrder, rows: int) -> torch.Tensor:
    total = grad.new_empty(rows, grad.shape[1], x.shape[1])
    offsets = tokens.offsets(rows)
    sum_outer_products(total, grad, x, tokens.order, offsets[:-1], offsets[1:], rows)
    return total
