"""Whether an input fits a layer."""

import torch

from capratio.errors import InputError


def under_autocast(x: torch.Tensor) -> bool:
    """Whether autocast is on where x lies; it leaves float64 as it is."""
    device = x.device.type
    return x.dtype != torch.float64 and torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)


def as_autocast(out: torch.Tensor) -> torch.Tensor:
    """A sum of a product and a table's rows, which torch does not autocast, in autocast's dtype where that is on."""
    return out.to(torch.get_autocast_dtype(out.device.type)) if under_autocast(out) else out


def check_input(x: torch.Tensor, in_features: int, dtype: torch.dtype) -> None:
    """Raise InputError where the last dimension of x is not in_features, or its dtype is not the layer's.

    Under autocast every floating dtype is taken, as nn.Linear takes it.
    """
    if x.dim() == 0 or x.shape[-1] != in_features:
        raise InputError(
            f"x has shape {tuple(x.shape)}; its last dimension must be the layer's in_features={in_features}."
        )
    if x.dtype != dtype and not (under_autocast(x) and x.is_floating_point() and dtype != torch.float64):
        raise InputError(f"x is {x.dtype} and the layer's weights are {dtype}; convert one of them with .to(dtype).")
