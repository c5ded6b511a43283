"""How weight tables begin: as the dense layer they generalise, or with every node drawn."""

from math import sqrt

import torch
from torch import nn

from capratio.errors import InputError

# dense: the layer begins as nn.Linear does. random: every node is drawn. empty: memory as it is, for a state that is
# loaded next.
INITS = ("dense", "random", "empty")

# The most bytes that a signed 64-bit size can say.
_MOST_BYTES = 2**63 - 1


def known_init(init: str) -> str:
    """Return ``init``; raise InputError where it is not one of ``INITS``."""
    if init not in INITS:
        raise InputError(f"init={init!r} is not known; it must be one of {', '.join(INITS)}.")
    return init


def new_table(shape: tuple[int, ...], device: torch.device | str | None, dtype: torch.dtype | None) -> nn.Parameter:
    """An uninitialised parameter; raises InputError where its bytes exceed every address space."""
    elements = 1
    for size in shape:
        elements *= size
    if elements * (dtype or torch.get_default_dtype()).itemsize > _MOST_BYTES:
        raise InputError(
            f"a weight table of {' x '.join(map(str, shape))} elements was asked for, more than any memory; use a "
            "smaller depth."
        )
    return nn.Parameter(torch.empty(shape, device=device, dtype=dtype))


def draw_linear(weight: torch.Tensor, in_features: int) -> None:
    """Draw weights or a bias as nn.Linear does, U(-1/sqrt(p), 1/sqrt(p))."""
    bound = 1 / sqrt(in_features)
    nn.init.uniform_(weight, -bound, bound)


def draw_path(table: torch.Tensor, in_features: int, depth: int) -> None:
    """Draw every node so that the sum of a path has the variance of nn.Linear's weights, U(+-1/sqrt(p (k + 1)))."""
    draw_linear(table, in_features * (depth + 1))
