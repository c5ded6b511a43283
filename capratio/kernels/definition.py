"""How torch learns of an operation: schema, implementations, fake kernel, gradient and FLOP formula, in one place."""

from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch._ops import OpOverload
from torch.autograd import forward_ad
from torch.library import Library, register_autograd, register_fake
from torch.utils.flop_counter import register_flop_formula

from capratio.cost.operation import OperationCost, OperationFormula
from capratio.errors import InputError
from capratio.kernels.backends import CACHE_ERRORS, damaged_cache, implementation

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
    folder: str,
    schema: str,
    fake: Callable[..., Any],
    cost: Callable[..., OperationCost],
) -> OpOverload:
    """Define ``capratio::<name>`` and return the overload to call.

    folder: of ``capratio.kernels``, whose modules implement the operation under its name. schema: torch's schema
    without the namespace and without its last argument, ``str backend``, which is added here. fake: gives an empty
    output of the right shape. cost: takes the arguments and the backend's name, and gives what the reference executes
    and moves (in the order that the backend takes), also where an implementation needs fewer additions or bytes.
    """
    name, _, rest = schema.partition("(")
    arguments, _, returned = rest.rpartition(") ->")

    def run(first: torch.Tensor, *others: Any) -> Any:
        if forward_ad._current_level >= 0:
            raise InputError(
                f"{name} has no forward-mode derivative, which would be silently zero; use reverse mode: backward(), "
                "torch.func.grad or torch.func.vjp outside of jvp and dual levels."
            )
        *inputs, backend = others
        try:
            return implementation(folder, name, backend, first.device.type, first.dtype)(first, *inputs)
        except CACHE_ERRORS as error:
            raise damaged_cache(folder, error) from error

    _LIBRARY.define(f"{name}({arguments}, str backend) ->{returned}", tags=(torch.Tag.pt2_compliant_tag,))
    _LIBRARY.impl(name, run, "CompositeExplicitAutograd")
    register_fake(f"capratio::{name}", lambda *given: fake(*given[:-1]), lib=_LIBRARY)
    packet = getattr(torch.ops.capratio, name)
    register_flop_formula(packet, get_raw=True)(
        OperationFormula(lambda *given, out_val=None: cost(*given[:-1], backend=given[-1]))
    )
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
