"""A gate of hyperplanes: each bit is the side of a learned hyperplane on which a token lies."""

import torch
from torch import nn

from capratio.kernels.hyperplane_bits import hyperplane_bits
from capratio.layers.gate import Gate


class HyperplaneGate(Gate):
    """Bits that all units share, bit l = [weight_l . h > 0]; 2 k h gating FLOP a token.

    ``weight``: (k, h), normal vectors, drawn from N(0, 1), which favours no direction. The gate gets no gradient yet:
    ``weight`` is a parameter whose gradient stays None.

    Args: features h: features of its input. depth k: bits, of which there may be more than features.

    Raises InputError for a negative depth.

    Source: Cho & Bengio 2014, arXiv 1406.7362, our reading: bits are the signs of dedicated gating units.
    """

    kind = "hyperplanes"

    def __init__(
        self,
        features: int,
        depth: int,
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(features, depth)
        self.weight = nn.Parameter(torch.empty(depth, features, device=device, dtype=dtype))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the normal vectors."""
        if self.depth:
            nn.init.normal_(self.weight)

    def decide(self, gate_input: torch.Tensor) -> torch.Tensor:
        """(N, h) -> (N, k)."""
        return hyperplane_bits(gate_input, self.weight)
