"""What all tree layers share: sizes, gate, bias, leading shapes, and the way from an input to its rows and bits."""

from abc import ABC, abstractmethod
from copy import deepcopy
from typing import ClassVar, Self, TypeVar

import torch
from torch import nn

from capratio.cost.spec import DENSE_GRADIENT, LayerSpec, VisitedNodes, known_weight_gradient
from capratio.errors import InputError
from capratio.kernels.backends import AUTO, REFERENCE, known_backend, resolve_backend
from capratio.layers.gate import Gate
from capratio.layers.gates import shared_gate, unit_gate
from capratio.layers.initialization import draw_linear, known_init
from capratio.layers.input_check import check_input, under_autocast
from capratio.layers.visiting import visited_nodes

Form = TypeVar("Form", bound="GatedLayer")


class GatedLayer(nn.Module, ABC):
    """A linear layer whose weights are chosen for each token by the bits of a gate.

    A subclass names its ``layer`` and ``form`` (of ``capratio.cost.spec``) and the folder of its hot ``operation``,
    says whether input units have ``own_bits``, creates its ``weight``, and computes the outputs of (N, p) rows.

    weight_gradient of its table of nodes: ``dense``, or ``touched``: a coalesced sparse tensor of the visited rows, so
    that a step costs what the batch visits and not 2^k. Touched rows are eager and of first order: what is compiled or
    derived twice is refused. At depth 0, where the layer is a dense one, the gradient is dense in both modes.
    """

    layer: ClassVar[str]
    form: ClassVar[str]
    operation: ClassVar[str]
    own_bits: ClassVar[bool] = False

    gate: Gate
    weight: nn.Parameter
    bias: nn.Parameter | None

    def __init__(
        self,
        in_features: int,
        out_features: int,
        depth: int,
        *,
        bias: bool = True,
        gate: str | Gate = "signs",
        gate_seed: int = 0,
        init: str = "dense",
        backend: str = AUTO,
        weight_gradient: str = DENSE_GRADIENT,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        LayerSpec(self.layer, in_features, out_features, depth, self.form)
        self.in_features = in_features
        self.out_features = out_features
        self.depth = depth
        self.init = known_init(init)
        self.backend = known_backend(backend)
        self.weight_gradient = known_weight_gradient(weight_gradient)
        make_gate = unit_gate if self.own_bits else shared_gate
        self.gate = make_gate(gate, in_features, depth, gate_seed, device, dtype)
        other_width = self.gate.features if self.gate.features != in_features else 0
        self.spec = LayerSpec(
            self.layer, in_features, out_features, depth, self.form, bias, self.gate.kind, other_width, weight_gradient
        )
        self._create(device, dtype)
        if bias:
            self.bias = nn.Parameter(torch.empty(out_features, device=device, dtype=dtype))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    @abstractmethod
    def _create(self, device: torch.device | str | None, dtype: torch.dtype | None) -> None:
        """Create the weight tables, uninitialised."""

    @abstractmethod
    def _draw(self) -> None:
        """Draw the weight tables as ``init`` says (``dense`` or ``random``)."""

    @abstractmethod
    def _copy_linear(self, weight: torch.Tensor) -> None:
        """Take the weights of a dense layer, (q, p), so that every path computes it."""

    @abstractmethod
    def _dense(self, x: torch.Tensor) -> torch.Tensor:
        """The outputs at depth 0, (..., p) -> (..., q), by nn.Linear's own function; autocast as it is."""

    @abstractmethod
    def _rows(self, x: torch.Tensor, read: torch.Tensor) -> torch.Tensor:
        """The outputs of (N, p) rows, bias included, whose gate reads (N, h): (N, q)."""

    @classmethod
    def from_linear(cls, linear: nn.Linear, depth: int, *, gate: str | Gate = "signs", gate_seed: int = 0) -> Self:
        """A layer that computes what a trained dense layer computes, whatever the bits are.

        The dense weights become the root (of a collapsed form: every leaf), deeper nodes are zero. Device, dtype and
        bias are the dense layer's; its parameters are copied.

        Args: linear: the dense layer. depth k: a count. gate, gate_seed: as the constructor's.

        Raises InputError for anything but an nn.Linear, and as the constructor does.
        """
        if not isinstance(linear, nn.Linear):
            raise InputError(f"{linear!r} was given; from_linear takes an nn.Linear.")
        weight, bias = linear.weight, linear.bias
        layer = cls(
            linear.in_features,
            linear.out_features,
            depth,
            bias=bias is not None,
            gate=gate,
            gate_seed=gate_seed,
            init="empty",
            device=weight.device,
            dtype=weight.dtype,
        )
        with torch.no_grad():
            layer._copy_linear(weight)
            if layer.bias is not None:
                layer.bias.copy_(bias)
        layer.init = "dense"
        return layer

    def reset_parameters(self) -> None:
        """Draw the layer's own parameters as ``init`` says; the gate has a reset of its own."""
        if self.init == "empty":
            return
        self._draw()
        if self.bias is not None:
            draw_linear(self.bias, self.in_features)

    def bits(self, x: torch.Tensor, gate_input: torch.Tensor | None = None) -> torch.Tensor:
        """The gating bits of each token: bool (..., k), or (..., p, k) where units have bits of their own.

        Args: x: (..., p). gate_input: (..., h), what the gate reads instead of x.

        Raises InputError for a wrong last dimension, or leading dimensions that differ.
        """
        self._check(x, gate_input)
        return self.gate.bits(x if gate_input is None else gate_input)

    def visited(self, x: torch.Tensor, gate_input: torch.Tensor | None = None) -> VisitedNodes:
        """The distinct nodes that a batch visits at every level. Args and raises: as ``bits``."""
        bits = self.bits(x, gate_input)
        leading = x.shape[:-1]
        return visited_nodes(bits.reshape(leading.numel(), *bits.shape[len(leading) :]))

    def forward(self, x: torch.Tensor, gate_input: torch.Tensor | None = None) -> torch.Tensor:
        """The outputs, (..., p) -> (..., q); in autocast's dtype under autocast. Args and raises: as ``bits``."""
        self._check(x, gate_input)
        if self.depth == 0:
            return self._dense(x)
        if under_autocast(x) and self.weight.dtype != torch.float64:
            return self._under_autocast(x, gate_input)
        read = x if gate_input is None else gate_input
        if x.dim() == 2:
            return self._rows(x, read)
        out = self._rows(x.reshape(-1, self.in_features), read.reshape(-1, read.shape[-1]))
        return out.view(*x.shape[:-1], self.out_features)

    def _under_autocast(self, x: torch.Tensor, gate_input: torch.Tensor | None) -> torch.Tensor:
        """Autocast what goes in and out alone: casting a table costs more than the few of its nodes that are read."""
        device, dtype = x.device.type, self.weight.dtype
        with torch.autocast(device, enabled=False):
            out = self.forward(x.to(dtype), None if gate_input is None else gate_input.to(dtype))
        return out.to(torch.get_autocast_dtype(device))

    @property
    def ran_backend(self) -> str:
        """The implementation that ``backend`` stands for where the layer lies; a plain linear one has but one."""
        weight = self.weight
        return resolve_backend(self.operation, self.backend, weight.device, weight.dtype) if self.depth else REFERENCE

    def extra_repr(self) -> str:
        """The sizes and the backend, as they were given, and the mode of the weight gradient where it is unusual."""
        unusual = "" if self.weight_gradient == DENSE_GRADIENT else f", weight_gradient={self.weight_gradient}"
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, depth={self.depth}, "
            f"bias={self.bias is not None}, backend={self.backend}{unusual}"
        )

    def _check(self, x: torch.Tensor, gate_input: torch.Tensor | None) -> None:
        check_input(x, self.in_features, self.weight.dtype)
        if gate_input is None:
            self.gate.check(x)
            return
        self.gate.check(gate_input)
        if gate_input.shape[:-1] != x.shape[:-1]:
            raise InputError(
                f"x has shape {tuple(x.shape)} and gate_input {tuple(gate_input.shape)}; all dimensions but the "
                "last must be the same."
            )

    def _inference_form(self, cls: type[Form]) -> Form:
        """An empty layer of the same sizes with this layer's bias, and a copy of its gate."""
        form = cls(
            self.in_features,
            self.out_features,
            self.depth,
            bias=self.bias is not None,
            gate=deepcopy(self.gate),
            init="empty",
            backend=self.backend,
            weight_gradient=self.weight_gradient,
            device=self.weight.device,
            dtype=self.weight.dtype,
        )
        if form.bias is not None and self.bias is not None:
            with torch.no_grad():
                form.bias.copy_(self.bias)
        form.init = self.init
        return form.train(self.training)

    def _add_bias(self, out: torch.Tensor) -> torch.Tensor:
        bias = self.bias
        return out if bias is None else out.add_(bias)
