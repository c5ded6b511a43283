"""A plain network of two matrices, such as stands in a transformer's block."""

import torch
from torch import nn
from torch.nn.functional import linear, relu

from capratio.layers.initialization import draw_linear, new_table


class DenseFeedforward(nn.Module):
    """y = W_2 relu(W_1 x + b_1) + b_2, (..., d) -> (..., d).

    ``weight_in`` W_1: (h, d). ``bias_in``: (h,). ``weight_out`` W_2: (d, h). ``bias_out``: (d,). Drawn as nn.Linear
    draws.

    Args: width d, hidden h: counts.

    Raises InputError for matrices beyond any memory.
    """

    def __init__(
        self, width: int, hidden: int, *, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> None:
        super().__init__()
        self.weight_in = new_table((hidden, width), device, dtype)
        self.bias_in = new_table((hidden,), device, dtype)
        self.weight_out = new_table((width, hidden), device, dtype)
        self.bias_out = new_table((width,), device, dtype)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw both matrices and both biases."""
        hidden, width = self.weight_in.shape
        for table in (self.weight_in, self.bias_in):
            draw_linear(table, width)
        for table in (self.weight_out, self.bias_out):
            draw_linear(table, hidden)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The outputs, (..., d) -> (..., d)."""
        return linear(relu(linear(x, self.weight_in, self.bias_in)), self.weight_out, self.bias_out)
