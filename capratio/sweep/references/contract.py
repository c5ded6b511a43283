"""What a system's reference is: a loop over tokens in float64, and a check of what the layer decided."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import ClassVar

import torch

from capratio.cost.systems.contract import SystemSpec

Decisions = Mapping[str, torch.Tensor]


# Of a parameter's first sizes: an index, or several neighbouring ones.
Place = tuple[int | range, ...]


def part_of(value: torch.Tensor, place: Place) -> torch.Tensor:
    """A view of the part at a place; of all of it at ()."""
    return value[tuple(slice(one.start, one.stop) if isinstance(one, range) else one for one in place)]


class Parameters:
    """A layer's parameters in float64, row by row, so that a table of gigabytes is not converted.

    What was read once is the same tensor when it is read again, and collects its gradient.
    """

    def __init__(
        self, state: Mapping[str, torch.Tensor], change: Callable[[torch.Tensor], torch.Tensor] | None = None
    ) -> None:
        """state: the layer's ``state_dict()``. change: what becomes of each part as it is read; nothing if None."""
        self._state = state
        self._change = change
        self.read: dict[tuple[str, Place], torch.Tensor] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._state

    def __getitem__(self, name: str) -> torch.Tensor:
        """A whole parameter or buffer."""
        return self.row(name)

    def rounded(self, value: torch.Tensor) -> torch.Tensor:
        """What a layer computes and rounds to its dtype: changed as what is read, itself where nothing is."""
        return value if self._change is None else self._change(value)

    def row(self, name: str, *place: int | range) -> torch.Tensor:
        """The part of a parameter at an index of its first sizes, or at neighbouring ones."""
        if (name, place) not in self.read:
            value = part_of(self._state[name], place)
            exact = value.detach().double() if value.is_floating_point() else value
            if self._change is not None and exact.is_floating_point():
                exact = self._change(exact)
            self.read[name, place] = exact.requires_grad_(exact.is_floating_point())
        return self.read[name, place]


class Reference(ABC):
    """The definition of one system's layer, independent of the layer's code and of the kernels.

    rounds_hidden: whether the layer decides on values that it rounded to its dtype, and not on its input alone.
    """

    rounds_hidden: ClassVar[bool] = False

    @abstractmethod
    def output(
        self, spec: SystemSpec, parameters: Parameters, x: torch.Tensor, token: int, decisions: Decisions
    ) -> torch.Tensor:
        """One token's output under the layer's decisions: (q,), float64, differentiable in x and in what is read.

        Args: x: (N, p), float64. decisions: of all N tokens.
        """

    @abstractmethod
    def wrong_decision(
        self, spec: SystemSpec, parameters: Parameters, x: torch.Tensor, decisions: Decisions, eps: float
    ) -> str | None:
        """What is wrong with the decisions, beyond rounding, in words such as "token 3 goes to expert 5, whose score is
        not among the 2 highest"; None where all are right.

        Args: eps: of the dtype in which scores were summed, by which near ties are told from wrong choices; of the
        layer's dtype where it ``rounds_hidden``.
        """
