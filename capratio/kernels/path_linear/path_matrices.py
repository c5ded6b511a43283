"""The matrix of each visited leaf, the sum of its path's nodes from the root down, formed in one of two orders.

Both add in the same sequence, so they give the same bits.
"""

from collections.abc import Iterator

import torch

from capratio.kernels.precision import sum_dtype
from capratio.kernels.routing import TokenGroups, path_rows, shared_levels


def leaf_matrices(weight: torch.Tensor, groups: TokenGroups, depth: int) -> Iterator[tuple[torch.Tensor, slice]]:
    """Form each leaf's matrix anew by k adds: V k pq FLOP and one temporary matrix, which the next leaf overwrites."""
    root = weight[0].to(sum_dtype(weight.dtype))
    formed = torch.empty_like(root) if depth else root
    for leaf, tokens in groups:
        for level, row in enumerate(path_rows(leaf, depth)[1:], start=1):
            torch.add(formed if level > 1 else root, weight[row], out=formed)
        yield formed, tokens


def prefix_matrices(weight: torch.Tensor, groups: TokenGroups, depth: int) -> Iterator[tuple[torch.Tensor, slice]]:
    """Form each shared prefix once, as the leaves are walked in order: V_n pq FLOP and k temporary matrices.

    sums[l] holds the sum of the current path's nodes down to level l; the next leaf overwrites the levels that it does
    not share.
    """
    root = weight[0].to(sum_dtype(weight.dtype))
    sums = [root, *(torch.empty_like(root) for _ in range(depth))]
    before: int | None = None
    for leaf, tokens in groups:
        rows = path_rows(leaf, depth)
        first = 1 if before is None else shared_levels(before, leaf, depth)
        for level in range(first, depth + 1):
            torch.add(sums[level - 1], weight[rows[level]], out=sums[level])
        before = leaf
        yield sums[depth], tokens
