"""path_bias in plain torch: the rows of each token's path summed, then added to its base."""

import torch
from torch.nn.functional import embedding_bag

from capratio.kernels.precision import add_rows, sum_dtype
from capratio.kernels.routing import node_rows
from capratio.kernels.touched_rows import touched_rows


def path_bias(base: torch.Tensor, table: torch.Tensor, leaf: torch.Tensor, depth: int) -> torch.Tensor:
    """base_n + sum over l = 0..k of table[node_l]: (N, q), (2^(k+1) - 1, q), (N,) -> (N, q)."""
    return (base + _path_sums(table, leaf, depth)).to(base.dtype)


def add_path_bias(base: torch.Tensor, table: torch.Tensor, leaf: torch.Tensor, depth: int) -> None:
    """As path_bias, in place."""
    base.add_(_path_sums(table, leaf, depth))


def path_bias_table_gradient(grad: torch.Tensor, leaf: torch.Tensor, depth: int) -> torch.Tensor:
    """dtable[node_l] += dy_n for l = 0..k: (N, q), (N,) -> (2^(k+1) - 1, q)."""
    return _sum_rows(grad, node_rows(leaf, depth), 2 ** (depth + 1) - 1)


def path_bias_touched_gradient(grad: torch.Tensor, leaf: torch.Tensor, depth: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The visited rows and their gradients, padded: (N, q), (N,) -> (M,), (M, q), M = min(N (k + 1), 2^(k+1) - 1)."""
    indices, place = touched_rows(node_rows(leaf, depth), 2 ** (depth + 1) - 1)
    return indices, _sum_rows(grad, place, len(indices))


def _path_sums(table: torch.Tensor, leaf: torch.Tensor, depth: int) -> torch.Tensor:
    return embedding_bag(node_rows(leaf, depth), table, mode="sum")


def _sum_rows(grad: torch.Tensor, node: torch.Tensor, rows: int) -> torch.Tensor:
    """total[node_nl] += dy_n: (N, q), (N, k + 1) -> (rows, q)."""
    values = grad.to(sum_dtype(grad.dtype))
    total = values.new_zeros(rows, grad.shape[1])
    for level in node.unbind(1):
        add_rows(total, level, values)
    return total.to(grad.dtype)
