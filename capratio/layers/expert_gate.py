"""What the gates of a sparsely-gated mixture share: they give each token its experts, with shares."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import nn

Named = Mapping[str, torch.Tensor]


@dataclass(frozen=True, slots=True)
class Routed:
    """Experts of N tokens.

    expert: int64 (N, k), -1 for none. share: (N, k), float32 for half precision. decisions: what was chosen and drawn,
    ``expert`` among it. kept: values with gradients, of which losses are made.
    """

    expert: torch.Tensor
    share: torch.Tensor
    decisions: dict[str, torch.Tensor]
    kept: dict[str, torch.Tensor]


class ExpertGate(nn.Module, ABC):
    """Chooses experts for (N, p) rows, and their shares of the output. ``weight``: its matrix W_g, a row an expert."""

    weight: nn.Parameter

    @abstractmethod
    def forward(self, x: torch.Tensor, generator: torch.Generator | None) -> Routed:
        """The experts of (N, p) rows. Args: generator: of the noise; torch's own where None is given."""

    @abstractmethod
    def losses(self, decisions: Named, kept: Named) -> dict[str, torch.Tensor]:
        """What balances the experts, by name, unweighted. Args: as ``Routed`` gave them."""

    @abstractmethod
    def reset_parameters(self) -> None:
        """Set the parameters as training begins."""

    @property
    def stochastic(self) -> bool:
        """Whether it draws noise in its present mode."""
        return False
