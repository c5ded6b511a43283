"""A layer that holds its first output of each size against a formula in float64, before anything is timed."""

import math
from abc import ABC, abstractmethod

import torch
from torch import nn

from capratio.sweep.verify import WrongAnswerError

# A sum of n products is off by some sqrt(n) roundings; a wrong row, expert or block is off by a thousand times more.
SAFETY = 64.0


class CheckedLayer(nn.Module, ABC):
    """(N, p) -> (N, q), compared with ``expected`` in the first call of each N and mode."""

    def __init__(self) -> None:
        super().__init__()
        self._checked: set[tuple[int, bool]] = set()

    @abstractmethod
    def compute(self, x: torch.Tensor) -> torch.Tensor:
        """The outputs, (N, p) -> (N, q)."""

    @abstractmethod
    def expected(self, x: torch.Tensor) -> torch.Tensor:
        """The formula, (N, p) -> (N, q) in float64."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, p) -> (N, q). Raises WrongAnswerError for a first output that is another one."""
        out = self.compute(x)
        call = len(x), self.training
        if call not in self._checked:
            self._checked.add(call)
            with torch.no_grad():
                check_rows(out, self.expected(x.double()), type(self).__name__)
        return out


def check_rows(out: torch.Tensor, expected: torch.Tensor, what: str) -> None:
    """Raise WrongAnswerError where a row of (N, q) outputs is farther from the float64 one than roundings are."""
    allowed = SAFETY * math.sqrt(out.shape[1]) * torch.finfo(out.dtype).eps
    distance = torch.linalg.vector_norm(out.double() - expected, dim=1)
    # Not "any above": NaN is neither above nor below.
    if not bool((distance <= allowed * torch.linalg.vector_norm(expected, dim=1)).all()):
        raise WrongAnswerError(f"the output of {what} differs from its formula in float64.")
