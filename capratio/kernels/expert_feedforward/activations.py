"""What stands between an expert's two products, in plain torch: the activation, gated or not, and its gradient."""

from collections.abc import Callable

import torch
from torch.nn.functional import gelu, silu

from capratio.cost.op_formulas.expert_feedforward import ACTIVATIONS, GATED
from capratio.errors import InputError


def is_gated(activation: str) -> bool:
    """Whether the first half of the rows of an expert's first matrix gates the second.

    Raises InputError for an activation that is not known.
    """
    if activation not in ACTIVATIONS:
        raise InputError(f"activation={activation!r} is not known; it must be one of {', '.join(ACTIVATIONS)}.")
    return activation in GATED


def activate(before: torch.Tensor, activation: str) -> torch.Tensor:
    """What goes into the second product: (n, m) -> (n, h), act(z), or act(gate) value of z = (gate, value)."""
    if activation not in GATED:
        return _CURVES[activation](before)
    gate, value = before.chunk(2, 1)
    return _CURVES[activation](gate) * value


def activation_gradient(grad: torch.Tensor, before: torch.Tensor, activation: str) -> tuple[torch.Tensor, torch.Tensor]:
    """What ``activate`` gives, and the gradient to ``before`` of its product with grad: -> (n, h), (n, m)."""
    if activation not in GATED:
        return _CURVES[activation](before), _SLOPES[activation](grad, before)
    gate, value = before.chunk(2, 1)
    activated = _CURVES[activation](gate)
    return activated * value, torch.cat([_SLOPES[activation](grad * value, gate), grad * activated], 1)


def _relu_gradient(grad: torch.Tensor, before: torch.Tensor) -> torch.Tensor:
    passed: torch.Tensor = torch.ops.aten.threshold_backward(grad, before, 0)
    return passed


_CURVES: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "relu": torch.relu,
    "gelu": gelu,
    "geglu": gelu,
    "swiglu": silu,
}
# Of (gradient, what went in).
_SLOPES: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "relu": _relu_gradient,
    "gelu": torch.ops.aten.gelu_backward,
    "geglu": torch.ops.aten.gelu_backward,
    "swiglu": torch.ops.aten.silu_backward,
}
