"""unit_lookup in plain torch: a chunk of tokens at a time, vectors formed from their rows, then a product a token."""

from collections.abc import Iterator

import torch
from torch.nn.functional import embedding_bag

from capratio.kernels.precision import add_rows, product_dtype, sum_dtype
from capratio.kernels.touched_rows import touched_rows

# Formed vectors of a chunk, (tokens, p, q): 32 MiB hold 32 tokens of 512 x 512 float32, enough that the calls of a
# chunk (some 10 us) vanish beside forming it (some 10 ms), and little enough that no batch meets a memory limit.
FORMED_BYTES_CAP = 2**25


def unit_lookup(x: torch.Tensor, table: torch.Tensor, node: torch.Tensor) -> torch.Tensor:
    """y_n = sum over j of x_nj (sum over m of table[node_njm]): (N, p), (rows, q), (N, p, m) -> (N, q)."""
    out = x.new_empty(len(x), table.shape[1])
    for tokens in _chunks(node, table):
        vectors = _form(table, node[tokens]).to(product_dtype(x))
        out[tokens] = torch.bmm(x[tokens].unsqueeze(1).to(vectors.dtype), vectors).squeeze(1)
    return out


def unit_lookup_input_gradient(grad: torch.Tensor, table: torch.Tensor, node: torch.Tensor) -> torch.Tensor:
    """dx_nj = (sum over m of table[node_njm]) . dy_n: (N, q), (rows, q), (N, p, m) -> (N, p)."""
    out = grad.new_empty(node.shape[:2])
    for tokens in _chunks(node, table):
        vectors = _form(table, node[tokens]).to(product_dtype(grad))
        out[tokens] = torch.bmm(vectors, grad[tokens].unsqueeze(2).to(vectors.dtype)).squeeze(2)
    return out


def unit_lookup_weight_gradient(grad: torch.Tensor, x: torch.Tensor, node: torch.Tensor, rows: int) -> torch.Tensor:
    """dtable[node_njm] += x_nj dy_n: (N, q), (N, p), (N, p, m) -> (rows, q)."""
    wide = sum_dtype(grad.dtype)
    total = grad.new_zeros(rows, grad.shape[1], dtype=wide)
    for tokens in _chunks(node, total):
        scaled = x[tokens].unsqueeze(2).to(wide) * grad[tokens].unsqueeze(1).to(wide)
        for column in node[tokens].unbind(2):
            add_rows(total, column.flatten(), scaled.flatten(0, 1))
    return total.to(grad.dtype)


def unit_lookup_touched_gradient(
    grad: torch.Tensor, x: torch.Tensor, node: torch.Tensor, rows: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """The visited rows and their gradients, padded: (N, q), (N, p), (N, p, m) -> (M,), (M, q), M = min(N p m, rows)."""
    indices, place = touched_rows(node, rows)
    return indices, unit_lookup_weight_gradient(grad, x, place, len(indices))


def _form(table: torch.Tensor, node: torch.Tensor) -> torch.Tensor:
    """sum over m of table[node_njm]: (rows, q), (N, p, m) -> (N, p, q)."""
    # An embedding bag gathers and adds in one pass over the rows, 4 to 7 times faster than gathering first, and sums
    # half precision in float32.
    return embedding_bag(node.flatten(0, 1), table, mode="sum").view(*node.shape[:2], -1)


def _chunks(node: torch.Tensor, table: torch.Tensor) -> Iterator[slice]:
    """Slices of tokens whose formed vectors stay under the cap, at least one token each."""
    tokens, units, _ = node.shape
    step = max(1, FORMED_BYTES_CAP // (units * table.shape[1] * table.itemsize))
    return (slice(start, start + step) for start in range(0, tokens, step))
