"""How torch learns of an operation: schema, implementation, fake kernel, gradient and FLOP formula, in one place."""

from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch._ops import OpOverload
from torch.library import Library, register_autograd, register_fake
from torch.utils.flop_counter import register_flop_formula

from capratio.cost.operation import OperationCost, OperationFormula

# The definitions live as long as this object. Operations are defined on the library itself and not by ``custom_op``,
# whose checks cost 4 us a call: a call through the library costs 1 us more than the plain function under inference
# mode.
_LIBRARY: Any = Library("capratio", "FRAGMENT")  # type: ignore[no-untyped-call]


class Context(Protocol):
    """What torch gives a gradient: the tensors that were saved, and which arguments need one."""

    saved_tensors: tuple[torch.Tensor, ...]
    needs_input_grad: tuple[bool, ...]

    def save_for_backward(self, *tensors: torch.Tensor) -> None:
        """Keep tensors for the gradient."""


def define(
    schema: str,
    reference: Callable[..., torch.Tensor],
    fake: Callable[..., torch.Tensor],
    cost: Callable[..., OperationCost],
) -> OpOverload:
    """Define ``capratio::<name>`` and return the overload to call.

    schema: torch's schema without the namespace. reference: runs on every device. fake: gives an empty output of the
    right shape. cost: takes the arguments and ``out_val``, and gives what the reference executes and moves.
    """
    name = schema.split("(")[0]
    _LIBRARY.define(schema, tags=(torch.Tag.pt2_compliant_tag,))
    _LIBRARY.impl(name, reference, "CompositeExplicitAutograd")
    register_fake(f"capratio::{name}", fake, lib=_LIBRARY)
    packet = getattr(torch.ops.capratio, name)
    register_flop_formula(packet, get_raw=True)(OperationFormula(cost))
    overload: OpOverload = packet.default
    return overload


def differentiate(
    operation: OpOverload,
    backward: Callable[..., tuple[torch.Tensor | None, ...]],
    save: Callable[..., None],
) -> None:
    """Give an operation its gradient: ``save(ctx, inputs, output)`` keeps what ``backward(ctx, grad)`` reads."""
    name = operation._schema.name
    register_autograd(name, backward, setup_context=save, lib=_LIBRARY)
