"""Which features give bits: distinct ones, drawn with a seed, the same on every device."""

import torch


def chosen_features(trees: int, features: int, depth: int, seed: int) -> torch.Tensor:
    """For each of ``trees`` patterns, ``depth`` distinct features out of ``features``: int64 (trees, depth)."""
    generator = torch.Generator().manual_seed(seed)
    rows = [torch.randperm(features, generator=generator)[:depth] for _ in range(trees)]
    return torch.stack(rows)
