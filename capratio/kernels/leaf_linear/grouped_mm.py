"""leaf_linear by torch's own grouped product, a peer: tokens sorted by node, one call over the whole table.

A leaf without tokens is an empty group, so that nothing of the table is copied.
"""

from typing import NamedTuple

import torch
from torch.nn.functional import grouped_mm

from capratio.kernels.library_groups import check_widths, sort_groups
from capratio.kernels.touched_rows import touched_rows


class _Sorted(NamedTuple):
    """The order of the tokens by node, (N,), and where each node's tokens end, (R,) int32."""

    order: torch.Tensor
    ends: torch.Tensor

    def restore(self, rows: torch.Tensor) -> torch.Tensor:
        """Rows in sorted order put back into the tokens' order."""
        return torch.empty_like(rows).index_copy_(0, self.order, rows)


def leaf_linear(x: torch.Tensor, weight: torch.Tensor, node: torch.Tensor) -> torch.Tensor:
    """y_n = weight[node_n] x_n: (N, p), (R, q, p), (N,) -> (N, q).

    Raises InputError for a dtype, a width or a number of matrices that torch's product does not take; so do the
    gradients.
    """
    return _multiply(x, weight.transpose(1, 2), node)


def leaf_linear_bias(x: torch.Tensor, weight: torch.Tensor, node: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """y_n = weight[node_n] x_n + bias: (N, p), (R, q, p), (N,), (q,) -> (N, q)."""
    return leaf_linear(x, weight, node).add_(bias)


def leaf_linear_input_gradient(grad: torch.Tensor, weight: torch.Tensor, node: torch.Tensor) -> torch.Tensor:
    """dx_n = weight[node_n]^T dy_n: (N, q), (R, q, p), (N,) -> (N, p)."""
    return _multiply(grad, weight, node)


def leaf_linear_weight_gradient(grad: torch.Tensor, x: torch.Tensor, node: torch.Tensor, rows: int) -> torch.Tensor:
    """dW[r] = sum over the tokens n of node r of dy_n x_n^T: (N, q), (N, p), (N,) -> (rows, q, p)."""
    check_widths(grad, grad.shape[1], x.shape[1])
    groups = _sort(node, rows)
    columns = grad.index_select(0, groups.order).t()
    return grouped_mm(columns, x.index_select(0, groups.order), offs=groups.ends)


def leaf_linear_touched_gradient(
    grad: torch.Tensor, x: torch.Tensor, node: torch.Tensor, rows: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """The visited rows and their gradients, padded: (N, q), (N, p), (N,) -> (M,), (M, q, p), M = min(N, rows)."""
    indices, place = touched_rows(node, rows)
    return indices, leaf_linear_weight_gradient(grad, x, place, len(indices))


def _multiply(rows: torch.Tensor, matrices: torch.Tensor, node: torch.Tensor) -> torch.Tensor:
    check_widths(rows, *matrices.shape[1:])
    groups = _sort(node, len(matrices))
    return groups.restore(grouped_mm(rows.index_select(0, groups.order), matrices, offs=groups.ends))


def _sort(node: torch.Tensor, rows: int) -> _Sorted:
    _, order, ends = sort_groups(node, rows)
    return _Sorted(order, ends)
