"""sign_leaf on a GPU: chosen features are gathered where they are compared, in one pass by Triton."""

import torch

from capratio.kernels.cuda.leaf_triton import chosen_leaves


def sign_leaf(x: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
    """int(b_1..b_k) of the bits b_l = (x[chosen_l] > 0): (N, h), (..., k) -> int64 (N, ...)."""
    *units, depth = chosen.shape
    return chosen_leaves(x, chosen.reshape(torch.Size(units).numel(), depth)).view(len(x), *units)
