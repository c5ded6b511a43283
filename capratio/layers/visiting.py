"""How many distinct nodes a batch visits, from its bits."""

import torch

from capratio.cost.spec import VisitedNodes
from capratio.kernels.leaf_index import leaf_index


def visited_nodes(bits: torch.Tensor) -> VisitedNodes:
    """Count the distinct nodes at every level; of own bits, the distinct (unit, node) pairs.

    Args: bits: bool (N, k), or (N, units, k).
    """
    depth = bits.shape[-1]
    leaf = leaf_index(bits)
    if leaf.dim() == 2:
        # Trees side by side: the trees' leaves are numbered on, so that a shift gives the node of a level in its tree.
        leaf = leaf + (torch.arange(leaf.shape[1], device=leaf.device) << depth)
    leaves = torch.unique(leaf)
    levels = tuple(torch.unique(leaves >> (depth - level)).numel() for level in range(depth + 1))
    return VisitedNodes(len(bits), levels)
