"""The weight table of layers whose input units have trees of their own."""

import torch
from torch import nn

from capratio.layers.initialization import new_table


def new_unit_table(
    in_features: int, nodes: int, out_features: int, device: torch.device | str | None, dtype: torch.dtype | None
) -> nn.Parameter:
    """An uninitialised parameter (p, nodes, q).

    With one node the memory is laid out as nn.Linear's (q, p): a product of the transposed layout adds in another
    sequence, and depth 0 must equal nn.Linear to the bit.
    """
    if nodes == 1:
        return nn.Parameter(new_table((out_features, in_features), device, dtype).detach().t().unsqueeze(1))
    return new_table((in_features, nodes, out_features), device, dtype)
