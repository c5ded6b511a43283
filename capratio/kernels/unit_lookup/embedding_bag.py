"""unit_lookup by torch's own embedding bag, a peer: a token is a bag of its units' rows, weighted by the units.

The gradient of touched rows is torch's own sparse one, coalesced.
"""

import torch
from torch.nn.functional import embedding_bag, pad

from capratio.kernels.touched_rows import most_touched

_SUM = 0
_NO_PADDING = -1


def unit_lookup(x: torch.Tensor, table: torch.Tensor, node: torch.Tensor) -> torch.Tensor:
    """y_n = sum over j of x_nj (sum over m of table[node_njm]): (N, p), (rows, q), (N, p, m) -> (N, q)."""
    return embedding_bag(node.flatten(1), table, mode="sum", per_sample_weights=_weights(x, node))


def unit_lookup_input_gradient(grad: torch.Tensor, table: torch.Tensor, node: torch.Tensor) -> torch.Tensor:
    """dx_nj = (sum over m of table[node_njm]) . dy_n: (N, q), (rows, q), (N, p, m) -> (N, p)."""
    offsets, bags, _ = _bags(node)
    each = torch.ops.aten._embedding_bag_per_sample_weights_backward(
        grad, table, node.flatten(), offsets, bags, _SUM, _NO_PADDING
    )
    out: torch.Tensor = each.view(node.shape).sum(2)
    return out


def unit_lookup_weight_gradient(grad: torch.Tensor, x: torch.Tensor, node: torch.Tensor, rows: int) -> torch.Tensor:
    """dtable[node_njm] += x_nj dy_n: (N, q), (N, p), (N, p, m) -> (rows, q)."""
    return _table_gradient(grad, x, node, rows, sparse=False)


def unit_lookup_touched_gradient(
    grad: torch.Tensor, x: torch.Tensor, node: torch.Tensor, rows: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """The visited rows and their gradients, padded: (N, q), (N, p), (N, p, m) -> (M,), (M, q), M = min(N p m, rows)."""
    gradient = _table_gradient(grad, x, node, rows, sparse=True).coalesce()
    padding = most_touched(node.numel(), rows) - gradient.indices().shape[1]
    return pad(gradient.indices()[0], (0, padding), value=rows), pad(gradient.values(), (0, 0, 0, padding))


def _table_gradient(
    grad: torch.Tensor, x: torch.Tensor, node: torch.Tensor, rows: int, *, sparse: bool
) -> torch.Tensor:
    offsets, bags, sizes = _bags(node)
    out: torch.Tensor = torch.ops.aten._embedding_bag_backward(
        grad.contiguous(),
        node.flatten(),
        offsets,
        bags,
        sizes,
        offsets,
        rows,
        False,
        _SUM,
        sparse,
        _weights(x, node).flatten(),
        _NO_PADDING,
    )
    return out


def _weights(x: torch.Tensor, node: torch.Tensor) -> torch.Tensor:
    """The unit that scales each row, (N, p m)."""
    return x.unsqueeze(2).expand(node.shape).flatten(1)


def _bags(node: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Where each token's bag begins, (N,), the bag of each row, (N p m,), and the bags' sizes, (N,)."""
    tokens, size = len(node), node[0].numel() if len(node) else 0
    starts = torch.arange(tokens, device=node.device) * size
    return starts, torch.arange(tokens, device=node.device).repeat_interleave(size), torch.full_like(starts, size)
