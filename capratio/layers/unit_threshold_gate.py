"""A gate of thresholds with bits of its own for each input unit."""

import torch
from torch import nn

from capratio.kernels.backends import AUTO
from capratio.layers.gate import Gate
from capratio.layers.unit_sign_gate import UnitSignGate


class UnitThresholdGate(UnitSignGate):
    """Bits of each input unit j, bit l = [h[features_jl] > threshold_jl]: k p learned thresholds and no product.

    ``threshold``: (units, k), which starts at zero, where the gate is one of signs; the choice of features is as in
    UnitSignGate. The gate gets no gradient yet: ``threshold`` is a parameter whose gradient stays None.

    Args and raises: as UnitSignGate. dtype: of the thresholds.

    Source: Cho & Bengio 2014, arXiv 1406.7362, our reading.
    """

    kind = "thresholds"

    def __init__(
        self,
        features: int,
        depth: int,
        units: int,
        *,
        seed: int = 0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(features, depth, units, seed=seed, device=device)
        self.threshold = nn.Parameter(torch.zeros(units, depth, device=device, dtype=dtype))

    def reset_parameters(self) -> None:
        """Choose the features again, which gives the same ones, and set the thresholds to zero."""
        super().reset_parameters()
        if hasattr(self, "threshold"):
            nn.init.zeros_(self.threshold)

    def decide(self, gate_input: torch.Tensor) -> torch.Tensor:
        """(N, h) -> (N, units, k); k compares a unit."""
        return self.values(gate_input) > self.threshold.detach()

    def leaf(self, gate_input: torch.Tensor, backend: str = AUTO) -> torch.Tensor:
        """As the bits lead to it, which are no signs: (N, h) -> int64 (N, units)."""
        return Gate.leaf(self, gate_input, backend)
