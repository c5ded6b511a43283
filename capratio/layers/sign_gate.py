"""A gate of signs: each bit is the sign of one feature."""

import torch

from capratio.kernels.backends import AUTO
from capratio.kernels.sign_leaf import sign_leaf
from capratio.layers.gate import Gate, check_enough_features
from capratio.layers.seeds import chosen_features


class SignGate(Gate):
    """Bits that all units share, bit l = [h[features_l] > 0], of k features chosen by a seed.

    ``features`` chosen once are kept in the state as the buffer ``chosen``, (k,) int64. The gate has no parameters and
    gets no gradient.

    Args: features h: features of its input. depth k: bits. seed: of the choice.

    Raises InputError for a negative depth, or one of more than h.

    Source: Cho & Bengio 2014, arXiv 1406.7362, our reading: bits are the signs of hidden units.
    """

    kind = "signs"
    chosen: torch.Tensor

    def __init__(self, features: int, depth: int, *, seed: int = 0, device: torch.device | str | None = None) -> None:
        super().__init__(features, depth)
        check_enough_features(features, depth)
        self.seed = seed
        self.register_buffer("chosen", torch.empty(depth, dtype=torch.int64, device=device))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Choose the features again, which gives the same ones."""
        self.chosen.copy_(chosen_features(1, self.features, self.depth, self.seed)[0])

    def decide(self, gate_input: torch.Tensor) -> torch.Tensor:
        """(N, h) -> (N, k); k compares a token."""
        return gate_input.detach().index_select(1, self.chosen) > 0

    def leaf(self, gate_input: torch.Tensor, backend: str = AUTO) -> torch.Tensor:
        """As the bits lead to it, in one pass: (N, h) -> int64 (N,)."""
        return sign_leaf(gate_input, self.chosen, backend)
