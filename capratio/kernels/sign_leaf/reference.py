"""sign_leaf in plain torch: features gathered, compared with zero, and their bits put together."""

import torch

from capratio.kernels.leaf_index.reference import leaf_index


def sign_leaf(x: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
    """int(b_1..b_k) of the bits b_l = (x[chosen_l] > 0): (N, h), (..., k) -> int64 (N, ...)."""
    values = x.index_select(1, chosen.flatten())
    return leaf_index(values.view(len(x), *chosen.shape) > 0)
