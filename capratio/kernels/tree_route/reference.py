"""tree_route in plain torch: shifts, a stable sort, and the places where a new leaf begins."""

import torch

from capratio.kernels.leaf_index.reference import leaf_index


def tree_route(values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """(leaf, order, starts) of values (N, k)."""
    tokens, depth = values.shape
    leaf = leaf_index(values > 0)
    ascending, order = torch.sort(leaf, stable=True)
    starts = leaf.new_full((min(tokens, 2**depth) + 1,), tokens)
    begins = torch.cat([leaf.new_ones(min(tokens, 1)), (ascending[1:] != ascending[:-1]).to(torch.int64)])
    # The place of each leaf among the visited ones; of its tokens the first has the smallest position.
    starts.scatter_reduce_(0, begins.cumsum(0) - 1, torch.arange(tokens, device=leaf.device), "amin")
    return leaf, order, starts
