"""Path sums of every leaf, from which a collapsed layer is made."""

import torch

from capratio.kernels.precision import sum_dtype


def leaf_sums(nodes: torch.Tensor, depth: int) -> torch.Tensor:
    """Sum the nodes of each leaf's path, root first: (2^(k+1) - 1, ...) in level order -> (2^k, ...).

    Each level doubles the sums of the level above, so 2^(k+1) - 2 nodes are added once.
    """
    sums = nodes[:1].to(sum_dtype(nodes.dtype))
    for level in range(1, depth + 1):
        sums = sums.repeat_interleave(2, 0).add_(nodes[2**level - 1 : 2 ** (level + 1) - 1])
    return sums.to(nodes.dtype)
