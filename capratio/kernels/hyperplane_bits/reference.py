"""hyperplane_bits in plain torch: one product, one compare."""

import torch

from capratio.kernels.precision import product_dtype


def hyperplane_bits(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """bits_nl = (weight_l . x_n > 0): (N, h), (k, h) -> bool (N, k)."""
    wide = product_dtype(x)
    return torch.mm(x.to(wide), weight.t().to(wide)) > 0
