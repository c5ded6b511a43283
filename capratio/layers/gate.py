"""What a gate is: a module that turns the features of a token into the bits that choose its path."""

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import nn

from capratio.errors import InputError
from capratio.kernels.backends import AUTO
from capratio.kernels.leaf_index import leaf_index


class Gate(nn.Module, ABC):
    """Turns features into gating bits; a bit is 1 where its value is > 0.

    A gate gets no gradient: a bit is taken as a constant, so gradients reach the visited weights, the input and the
    bias of a layer, and neither the gate's parameters nor, through the bits, the gate's input.

    kind: an id of ``capratio.cost.spec.GATES``, by which the gate is costed. features h, depth k: counts. units: None
    where one bit pattern a token gates the whole layer, else how many input units have a pattern of their own.

    Raises InputError for a negative depth, or sizes under 1.
    """

    kind: ClassVar[str]

    def __init__(self, features: int, depth: int, units: int | None = None) -> None:
        super().__init__()
        if depth < 0:
            raise InputError(f"depth={depth} was given; a depth is a number of gating bits, 0 or more.")
        if features < 1:
            raise InputError(f"a gate of {features} features was given; a gate reads at least 1.")
        if units is not None and units < 1:
            raise InputError(f"a gate for {units} input units was given; there must be at least 1.")
        self.features = features
        self.depth = depth
        self.units = units

    @abstractmethod
    def decide(self, gate_input: torch.Tensor) -> torch.Tensor:
        """The bits of (N, h) features that are already checked: (N, k), or (N, units, k)."""

    def leaf(self, gate_input: torch.Tensor, backend: str = AUTO) -> torch.Tensor:
        """The leaf that the bits of (N, h) features lead to, int(b_1..b_k): int64 (N,), or (N, units)."""
        return leaf_index(self.decide(gate_input), backend)

    def bits(self, gate_input: torch.Tensor) -> torch.Tensor:
        """The bits of each token: (..., h) -> bool (..., k), or (..., units, k).

        Raises InputError where the last dimension is not h.
        """
        self.check(gate_input)
        decided = self.decide(gate_input.reshape(-1, self.features))
        return decided.reshape(*gate_input.shape[:-1], *decided.shape[1:])

    def check(self, gate_input: torch.Tensor) -> None:
        """Raise InputError where the last dimension is not h."""
        if gate_input.dim() == 0 or gate_input.shape[-1] != self.features:
            raise InputError(
                f"the gate's input has shape {tuple(gate_input.shape)}; its last dimension must be the gate's "
                f"features={self.features} (give the tensor that the gate reads as gate_input)."
            )

    def forward(self, gate_input: torch.Tensor) -> torch.Tensor:
        """As ``bits``."""
        return self.bits(gate_input)

    def reset_parameters(self) -> None:
        """Draw the gate's state anew; a gate without state does nothing."""

    def extra_repr(self) -> str:
        """The sizes, as they were given."""
        units = "" if self.units is None else f", units={self.units}"
        return f"features={self.features}, depth={self.depth}{units}"


def check_enough_features(features: int, depth: int) -> None:
    """Raise InputError where there are fewer features than bits, each of which needs a feature of its own."""
    if depth > features:
        raise InputError(
            f"depth={depth} was given, but only {features} features give bits; use a depth of at most {features}, or "
            "gate by a wider tensor."
        )
