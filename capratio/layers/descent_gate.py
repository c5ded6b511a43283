"""A gate that walks down a tree: each bit is the side of the hyperplane that the bits before it lead to."""

import torch
from torch import nn

from capratio.kernels.backends import AUTO
from capratio.kernels.routing import leaf_bits
from capratio.kernels.tree_descent import tree_descent
from capratio.layers.gate import Gate
from capratio.layers.initialization import draw_linear, new_table


class DescentGate(Gate):
    """Bits by k of 2^k - 1 hyperplanes, bit l = [weight_n . h + bias_n > 0] of the node n at level l - 1 on the way.

    ``weight``: (2^k - 1, h). ``bias``: (2^k - 1,). Both are drawn as nn.Linear's, as the authors' code draws them. The
    gate gets no gradient: their gradient stays None.

    Args: features h: features of its input. depth k: bits.

    Raises InputError for a negative depth, or more hyperplanes than any memory holds.

    Source: Belcak & Wattenhofer 2023, arXiv 2308.14711; the decisions are those of inference, in training too.
    """

    kind = "descent"

    def __init__(
        self,
        features: int,
        depth: int,
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(features, depth)
        self.weight = new_table((2**depth - 1, features), device, dtype)
        self.bias = nn.Parameter(torch.empty(2**depth - 1, device=device, dtype=dtype))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the hyperplanes and their offsets."""
        if self.depth:
            draw_linear(self.weight, self.features)
            draw_linear(self.bias, self.features)

    def leaf(self, gate_input: torch.Tensor, backend: str = AUTO) -> torch.Tensor:
        """The leaf of (N, h) features that are already checked: int64 (N,)."""
        return tree_descent(gate_input, self.weight, self.bias, self.depth, backend)

    def decide(self, gate_input: torch.Tensor) -> torch.Tensor:
        """(N, h) -> (N, k)."""
        return leaf_bits(self.leaf(gate_input), self.depth)
