"""tree_descent in plain torch: at every level each token's own node is gathered and decides."""

import torch

from capratio.kernels.precision import product_dtype


def tree_descent(x: torch.Tensor, weight: torch.Tensor, offset: torch.Tensor, depth: int) -> torch.Tensor:
    """The leaf, from node n on to 2n + 1 + [weight_n . x + offset_n > 0]: (N, p), (2^k - 1, p), (2^k - 1,) -> (N,)."""
    node = x.new_zeros(len(x), dtype=torch.int64)
    for _ in range(depth):
        node = _child(node, _values(x, weight, node) + offset.index_select(0, node))
    return node - len(weight)


def neuron_path(x: torch.Tensor, weight: torch.Tensor, depth: int) -> tuple[torch.Tensor, torch.Tensor]:
    """(node, value) with value_l = weight[node_l] . x, by which the way goes on: (N, p), (2^(k+1) - 1, p)."""
    nodes = [x.new_zeros(len(x), dtype=torch.int64)]
    values = [_values(x, weight, nodes[0])]
    for _ in range(depth):
        nodes.append(_child(nodes[-1], values[-1]))
        values.append(_values(x, weight, nodes[-1]))
    return torch.stack(nodes, 1), torch.stack(values, 1).to(x.dtype)


def _values(x: torch.Tensor, weight: torch.Tensor, node: torch.Tensor) -> torch.Tensor:
    rows = weight.index_select(0, node).unsqueeze(1).to(product_dtype(x))
    return torch.bmm(rows, x.unsqueeze(2).to(rows.dtype)).flatten()


def _child(node: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    return 2 * node + 1 + (value > 0)
