"""What fast feedforward layers share: a tree of hyperplanes leads each token down to the few units that it computes."""

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import nn

from capratio.cost.spec import LayerSpec, VisitedNodes
from capratio.kernels.backends import known_backend, resolve_backend
from capratio.layers.initialization import known_init
from capratio.layers.input_check import check_input, under_autocast
from capratio.layers.visiting import visited_nodes


class FastFeedforward(nn.Module, ABC):
    """A small nonlinear network for each token, found by k hard decisions on the way down a binary tree.

    A subclass names the folder of its hot ``operation``, and the ``peer`` that runs the ``whole`` layer as one
    operation of another folder; creates and draws its parameters, of which ``weight_in`` is one; and computes bits and
    outputs of (N, p) rows.

    Args: spec: sizes, form and bias. init: ``dense`` and ``random`` draw every weight as nn.Linear does, ``empty``
    leaves memory as it is. backend: one of ``capratio.kernels.backends.NAMES``.

    Raises InputError for an unknown init or backend.

    Source: Belcak & Wattenhofer 2023, arXiv 2308.14711 and 2311.10770.
    """

    operation: ClassVar[str]
    whole: ClassVar[str]
    peer: ClassVar[str]

    weight_in: nn.Parameter

    def __init__(self, spec: LayerSpec, init: str, backend: str) -> None:
        super().__init__()
        self.spec = spec
        self.in_features = spec.in_features
        self.out_features = spec.out_features
        self.depth = spec.depth
        self.init = known_init(init)
        self.backend = known_backend(backend)

    @abstractmethod
    def _draw(self) -> None:
        """Draw the layer's own parameters."""

    @abstractmethod
    def _row_bits(self, x: torch.Tensor) -> torch.Tensor:
        """The decisions of (N, p) rows: bool (N, k)."""

    @abstractmethod
    def _rows(self, x: torch.Tensor) -> torch.Tensor:
        """The outputs of (N, p) rows: (N, q)."""

    def reset_parameters(self) -> None:
        """Draw the layer's own parameters as ``init`` says; a gate has a reset of its own."""
        if self.init != "empty":
            with torch.no_grad():
                self._draw()

    def bits(self, x: torch.Tensor) -> torch.Tensor:
        """The decisions of each token, (..., p) -> bool (..., k), which have no gradient.

        Raises InputError for a wrong last dimension or dtype.
        """
        check_input(x, self.in_features, self.weight_in.dtype)
        bits = self._row_bits(x.detach().reshape(-1, self.in_features).to(self.weight_in.dtype))
        return bits.view(*x.shape[:-1], self.depth)

    def visited(self, x: torch.Tensor) -> VisitedNodes:
        """The distinct nodes that a batch visits at every level. Args and raises: as ``bits``."""
        return visited_nodes(self.bits(x).view(x.shape[:-1].numel(), self.depth))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The outputs, (..., p) -> (..., q); in autocast's dtype under autocast.

        Raises InputError for a wrong last dimension or dtype.
        """
        check_input(x, self.in_features, self.weight_in.dtype)
        if under_autocast(x) and self.weight_in.dtype != torch.float64:
            return self._under_autocast(x)
        return self._rows(x.reshape(-1, self.in_features)).view(*x.shape[:-1], self.out_features)

    def _under_autocast(self, x: torch.Tensor) -> torch.Tensor:
        """Autocast what goes in and out alone: casting a table costs more than the few of its nodes that are read."""
        device = x.device.type
        with torch.autocast(device, enabled=False):
            out = self.forward(x.to(self.weight_in.dtype))
        return out.to(torch.get_autocast_dtype(device))

    @property
    def ran_backend(self) -> str:
        """The implementation that ``backend`` stands for where the layer lies."""
        folder = self.whole if self.backend == self.peer else self.operation
        return resolve_backend(folder, self.backend, self.weight_in.device, self.weight_in.dtype)

    def extra_repr(self) -> str:
        """The sizes and the backend, as they were given."""
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, depth={self.depth}, "
            f"bias={self.spec.bias}, backend={self.backend}"
        )
