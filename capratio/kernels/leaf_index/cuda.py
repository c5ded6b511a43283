"""leaf_index in Triton."""

import torch

from capratio.kernels.cuda.leaf_triton import leaves


def leaf_index(bits: torch.Tensor) -> torch.Tensor:
    """int(b_1..b_k): bool (..., k) -> int64 (...)."""
    patterns = bits.shape[:-1]
    return leaves(bits.reshape(patterns.numel(), bits.shape[-1])).view(patterns)
