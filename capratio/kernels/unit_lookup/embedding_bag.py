"""unit_lookup by torch's own embedding bag, a peer: a token is a bag of its units' rows, weighted by the units.

The gradient of touched rows is torch's own sparse one, coalesced.
"""

import torch
from torch.nn.functional import embedding_bag

from capratio.kernels.row_lookup import embedding_bag as rows_of_bags


def unit_lookup(x: torch.Tensor, table: torch.Tensor, node: torch.Tensor) -> torch.Tensor:
    """y_n = sum over j of x_nj (sum over m of table[node_njm]): (N, p), (rows, q), (N, p, m) -> (N, q)."""
    return embedding_bag(node.flatten(1), table, mode="sum", per_sample_weights=_weights(x, node))


def unit_lookup_input_gradient(grad: torch.Tensor, table: torch.Tensor, node: torch.Tensor) -> torch.Tensor:
    """dx_nj = (sum over m of table[node_njm]) . dy_n: (N, q), (rows, q), (N, p, m) -> (N, p)."""
    return rows_of_bags.row_lookup_share_gradient(grad, table, node.flatten(1)).view(node.shape).sum(2)


def unit_lookup_weight_gradient(grad: torch.Tensor, x: torch.Tensor, node: torch.Tensor, rows: int) -> torch.Tensor:
    """dtable[node_njm] += x_nj dy_n: (N, q), (N, p), (N, p, m) -> (rows, q)."""
    return rows_of_bags.row_lookup_table_gradient(grad, node.flatten(1), _weights(x, node), rows)


def unit_lookup_touched_gradient(
    grad: torch.Tensor, x: torch.Tensor, node: torch.Tensor, rows: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """The visited rows and their gradients, padded: (N, q), (N, p), (N, p, m) -> (M,), (M, q), M = min(N p m, rows)."""
    return rows_of_bags.row_lookup_touched_gradient(grad, node.flatten(1), _weights(x, node), rows)


def _weights(x: torch.Tensor, node: torch.Tensor) -> torch.Tensor:
    """The unit that scales each row, (N, p m)."""
    return x.unsqueeze(2).expand(node.shape).flatten(1)
