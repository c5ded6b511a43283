"""Rows whose features are independent standard normal numbers: the input without structure."""

import torch

from capratio.inputs.stream import random_stream


def gaussian_rows(tokens: int, features: int, seed: int) -> torch.Tensor:
    """Independent N(0, 1) numbers, float64 (tokens, features)."""
    return torch.randn(tokens, features, generator=random_stream("gaussian", seed), dtype=torch.float64)
