"""path_bias in plain torch: the rows of each token's path summed, then added to its base."""

import torch
from torch.nn.functional import embedding_bag

from capratio.kernels.precision import add_rows, sum_dtype
from capratio.kernels.routing import node_rows


def path_bias(base: torch.Tensor, table: torch.Tensor, leaf: torch.Tensor, depth: int) -> torch.Tensor:
    """base_n + sum over l = 0..k of table[node_l]: (N, q), (2^(k+1) - 1, q), (N,) -> (N, q)."""
    return base + embedding_bag(node_rows(leaf, depth), table, mode="sum")


def path_bias_table_gradient(grad: torch.Tensor, leaf: torch.Tensor, depth: int) -> torch.Tensor:
    """dtable[node_l] += dy_n for l = 0..k: (N, q), (N,) -> (2^(k+1) - 1, q)."""
    values = grad.to(sum_dtype(grad.dtype))
    total = values.new_zeros(2 ** (depth + 1) - 1, grad.shape[1])
    for rows in node_rows(leaf, depth).unbind(1):
        add_rows(total, rows, values)
    return total.to(grad.dtype)
