"""A gate of signs with bits of its own for each input unit."""

import torch

from capratio.kernels.backends import AUTO
from capratio.kernels.sign_leaf import sign_leaf
from capratio.layers.gate import Gate, check_enough_features
from capratio.layers.seeds import chosen_features


class UnitSignGate(Gate):
    """Bits of each input unit j, bit l = [h[features_jl] > 0], of k features of its own chosen by a seed.

    The choice is kept in the state as the buffer ``chosen``, (units, k) int64. The gate has no parameters and gets no
    gradient.

    Args: features h: features of its input. depth k: bits of a unit. units p: input units. seed: of the choice.

    Raises InputError for a negative depth, or one of more than h.

    Source: Cho & Bengio 2014, arXiv 1406.7362, our reading: every unit has bits of its own.
    """

    kind = "signs"
    chosen: torch.Tensor

    def __init__(
        self, features: int, depth: int, units: int, *, seed: int = 0, device: torch.device | str | None = None
    ) -> None:
        super().__init__(features, depth, units)
        check_enough_features(features, depth)
        self.seed = seed
        self.register_buffer("chosen", torch.empty(units, depth, dtype=torch.int64, device=device))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Choose the features again, which gives the same ones."""
        self.chosen.copy_(chosen_features(len(self.chosen), self.features, self.depth, self.seed))

    def decide(self, gate_input: torch.Tensor) -> torch.Tensor:
        """(N, h) -> (N, units, k); k compares a unit."""
        return self.values(gate_input) > 0

    def leaf(self, gate_input: torch.Tensor, backend: str = AUTO) -> torch.Tensor:
        """As the bits lead to it, in one pass: (N, h) -> int64 (N, units)."""
        return sign_leaf(gate_input, self.chosen, backend)

    def values(self, gate_input: torch.Tensor) -> torch.Tensor:
        """The chosen features of each unit: (N, h) -> (N, units, k)."""
        values = gate_input.detach().index_select(1, self.chosen.flatten())
        return values.view(gate_input.shape[0], *self.chosen.shape)
