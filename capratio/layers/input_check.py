"""Whether an input fits a layer."""

import torch

from capratio.errors import InputError


def check_input(x: torch.Tensor, in_features: int, dtype: torch.dtype) -> None:
    """Raise InputError where the last dimension of x is not in_features, or its dtype is not the layer's."""
    if x.dim() == 0 or x.shape[-1] != in_features:
        raise InputError(
            f"x has shape {tuple(x.shape)}; its last dimension must be the layer's in_features={in_features}."
        )
    if x.dtype != dtype:
        raise InputError(f"x is {x.dtype} and the layer's weights are {dtype}; convert one of them with .to(dtype).")
