"""sign_leaf on a GPU: chosen features gathered by torch, and leaves in one pass by Triton."""

import torch

from capratio.kernels.leaf_triton import leaves


def sign_leaf(x: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
    """int(b_1..b_k) of the bits b_l = (x[chosen_l] > 0): (N, h), (..., k) -> int64 (N, ...)."""
    values = x.index_select(1, chosen.flatten())
    patterns = (len(x), *chosen.shape[:-1])
    return leaves(values.view(torch.Size(patterns).numel(), chosen.shape[-1])).view(patterns)
