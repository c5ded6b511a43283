"""leaf_index in plain torch: every bit shifted to its place, and the places added."""

import torch


def leaf_index(bits: torch.Tensor) -> torch.Tensor:
    """int(b_1..b_k): bool (..., k) -> int64 (...); k shifts and k - 1 adds a pattern."""
    depth = bits.shape[-1]
    if depth == 0:
        return bits.new_zeros(bits.shape[:-1], dtype=torch.int64)
    weights = torch.arange(depth - 1, -1, -1, device=bits.device)
    return (bits.to(torch.int64) << weights).sum(-1)
