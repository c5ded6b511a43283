"""tree_route on a GPU: leaves in one pass by Triton, then torch's radix sort; nothing waits for the device."""

import torch

from capratio.kernels.cuda.leaf_triton import leaves
from capratio.kernels.cuda.token_tiles import sort_tokens


def tree_route(values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """(leaf, order, starts) of values (N, k)."""
    count, depth = values.shape
    leaf = leaves(values)
    tokens = sort_tokens(leaf, 2**depth)
    # The place of each token's leaf among the visited ones.
    group = torch.zeros_like(leaf)
    torch.cumsum(tokens.keys[1:] != tokens.keys[:-1], 0, out=group[1:])
    wanted = torch.arange(min(count, 2**depth) + 1, device=leaf.device)
    return leaf, tokens.order, torch.searchsorted(group, wanted)
