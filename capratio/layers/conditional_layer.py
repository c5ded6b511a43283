"""What the layers of all systems beside the trees share: a specification, one outcome a call, and leading shapes."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace

import torch
from torch import nn

from capratio.cost.systems.contract import SystemSpec, Visits, defaults
from capratio.errors import InputError
from capratio.kernels.backends import REFERENCE, known_backend, resolve_backend
from capratio.layers.input_check import check_input, under_autocast

# What a layer decided about N tokens, by name, without gradients; the first size of every tensor is N.
Decisions = dict[str, torch.Tensor]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one call gave.

    out: (N, q). decisions: what was chosen and drawn for each token. kept: values that carry gradients, such as router
    logits, from which the layer's losses are computed.
    """

    out: torch.Tensor
    decisions: Decisions
    kept: dict[str, torch.Tensor] = field(default_factory=dict)


class ConditionalLayer(nn.Module, ABC):
    """A layer (..., p) -> (..., q) that computes with a part of its parameters, chosen for each token.

    A subclass names the folder of its hot ``operation``, or None where plain torch does, computes the outcome of (N, p)
    rows, and counts what a batch visits.

    Args: spec: sizes and options. backend: one of ``capratio.kernels.backends.NAMES``.

    Raises InputError for an unknown backend.
    """

    operation: str | None = None

    def __init__(self, spec: SystemSpec, backend: str) -> None:
        super().__init__()
        self.spec = spec
        self.in_features = spec.in_features
        self.out_features = spec.out_features
        self.backend = known_backend(backend)

    @abstractmethod
    def _compute(self, x: torch.Tensor, generator: torch.Generator | None, ids: torch.Tensor | None) -> Outcome:
        """The outcome of (N, p) rows that are checked. Args: as ``forward``; ids: (N,)."""

    @abstractmethod
    def visits(self, decisions: Decisions) -> Visits:
        """What a batch with these decisions reaches."""

    @abstractmethod
    def reset_parameters(self) -> None:
        """Draw the parameters anew."""

    @property
    def stochastic(self) -> bool:
        """Whether the layer draws at random in its present mode, and so takes a generator."""
        return False

    @property
    def takes_ids(self) -> bool:
        """Whether the layer looks up by token id, given as ``layer(x, ids=...)``."""
        return False

    @property
    def entries(self) -> int:
        """How many ids there are, of a layer that looks up by token id: 0 .. entries - 1."""
        return 0

    @property
    def choices(self) -> int:
        """How many of ``routing_directions`` a token chooses."""
        return 1

    def routing_directions(self) -> torch.Tensor | None:
        """Vectors (E, p) whose products with a token decide, the highest of them winning, by which a routing can be
        imposed through the input; None where the layer decides in another way.
        """
        return None

    @property
    def dtype(self) -> torch.dtype:
        """Of the input and the output: that of the first parameter."""
        return next(self.parameters()).dtype

    def forward(
        self, x: torch.Tensor, *, generator: torch.Generator | None = None, ids: torch.Tensor | None = None
    ) -> torch.Tensor:
        """The outputs, (..., p) -> (..., q).

        Args: generator: of what the layer draws, where it draws; torch's own where None is given. ids: int64 (...), of
        a layer that looks up by token id.

        Raises InputError for a wrong last dimension or dtype, or ids that are missing or of another shape.
        """
        return self.outcome(x, generator=generator, ids=ids).out.view(*x.shape[:-1], self.out_features)

    def outcome(
        self, x: torch.Tensor, *, generator: torch.Generator | None = None, ids: torch.Tensor | None = None
    ) -> Outcome:
        """Outputs, decisions and what losses are made of, leading dimensions flattened to N; as ``forward``."""
        check_input(x, self.in_features, self.dtype)
        for name, given, kind in (("generator", generator, torch.Generator), ("ids", ids, torch.Tensor)):
            if given is not None and not isinstance(given, kind):
                raise InputError(f"{name}={given!r} was given to {self.spec.layer}; give a torch.{kind.__name__}.")
        if ids is not None and not self.takes_ids:
            raise InputError(f"ids were given to {self.spec.layer}, which does not look up by them; leave them out.")
        rows = x if x.dim() == 2 else x.reshape(-1, self.in_features)
        own_ids = None if ids is None else ids.reshape(-1)
        if not under_autocast(x) or self.dtype == torch.float64:
            return self._compute(rows, generator, own_ids)
        # Casting experts and tables costs more than the few of them that are read: what goes in and out is cast alone.
        device = x.device.type
        with torch.autocast(device, enabled=False):
            outcome = self._compute(rows.to(self.dtype), generator, own_ids)
        return replace(outcome, out=outcome.out.to(torch.get_autocast_dtype(device)))

    def losses(self, outcome: Outcome) -> dict[str, torch.Tensor]:
        """What training adds to the loss, by name: scalars that carry gradients; empty where there are none."""
        return {}

    @property
    def ran_backend(self) -> str:
        """The implementation that ``backend`` stands for where the layer lies."""
        if self.operation is None:
            return REFERENCE
        return resolve_backend(self.operation, self.backend, next(self.parameters()).device, self.dtype)

    def extra_repr(self) -> str:
        """The sizes, all options, and the backend."""
        options = "".join(f", {name}={getattr(self.spec, name)}" for name in defaults(type(self.spec)))
        return f"in_features={self.in_features}, out_features={self.out_features}{options}, backend={self.backend}"
