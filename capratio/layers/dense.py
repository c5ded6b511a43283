"""The dense layer: nn.Linear, under the interface of the layers that are measured beside it."""

import torch
from torch import nn

from capratio.cost.spec import LayerSpec, VisitedNodes
from capratio.layers.input_check import check_input


class Dense(nn.Linear):
    """y = W x + bias, by nn.Linear itself; no bits, one node.

    Args: in_features p, out_features q: counts. bias: whether a bias is added.

    Raises InputError for sizes under 1.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        self.spec = LayerSpec("dense", in_features, out_features, bias=bias)
        super().__init__(in_features, out_features, bias, device=device, dtype=dtype)

    def forward(self, x: torch.Tensor, gate_input: torch.Tensor | None = None) -> torch.Tensor:
        """The outputs, (..., p) -> (..., q); gate_input is not read.

        Raises InputError for a wrong last dimension.
        """
        check_input(x, self.in_features, self.weight.dtype)
        return super().forward(x)

    def bits(self, x: torch.Tensor, gate_input: torch.Tensor | None = None) -> torch.Tensor:
        """No bits: bool (..., 0)."""
        check_input(x, self.in_features, self.weight.dtype)
        return x.new_empty((*x.shape[:-1], 0), dtype=torch.bool)

    def visited(self, x: torch.Tensor, gate_input: torch.Tensor | None = None) -> VisitedNodes:
        """One node, if there is a token."""
        tokens = self.bits(x).shape[:-1].numel()
        return VisitedNodes(tokens, (min(tokens, 1),))
