"""The gradient of a table as torch's sparse tensor of the rows that a batch visits, outside of every operation, eager.

torch derives no sparse gradient twice and compiles none; both are refused in a sentence.
"""

from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch.autograd import Function

from capratio.cost.spec import DENSE_GRADIENT, known_weight_gradient
from capratio.errors import InputError

Operation = Callable[..., tuple[torch.Tensor, torch.Tensor]]


def wants_touched(weight_gradient: str, table: torch.Tensor) -> bool:
    """Whether a call is to give the gradient of a table by its touched rows; without a gradient both modes are one.

    Raises InputError for a mode that is not known, or touched rows under torch.compile or torch.export.
    """
    if weight_gradient == DENSE_GRADIENT:
        return False
    known_weight_gradient(weight_gradient)
    if not (table.requires_grad and torch.is_grad_enabled()):
        return False
    if torch.compiler.is_compiling():
        raise InputError(
            f"weight_gradient={weight_gradient!r} was compiled with gradients on, and torch compiles no sparse "
            "gradient; use weight_gradient='dense', or torch.no_grad() where no gradient is needed."
        )
    return True


def with_touched_gradient(
    out: torch.Tensor,
    table: torch.Tensor,
    operation: Operation,
    tensors: tuple[torch.Tensor, ...],
    options: tuple[Any, ...],
) -> torch.Tensor:
    """``out`` with a gradient to the table that it was computed from, detached.

    Args: table: (R, ...), or (p, R / p, ...) whose rows are counted on from unit to unit. operation: gives (indices,
    values) for (gradient of ``out``, *tensors, *options), padded at the end with the index R.

    The gradient is a coalesced sparse tensor of the table's shape, without the padding. Raises InputError where the
    gradient is itself to be differentiated.
    """
    result: torch.Tensor = _TouchedGradient.apply(  # type: ignore[no-untyped-call]
        out, table, operation, options, *(tensor.detach() for tensor in tensors)
    )
    return result


class _Context(Protocol):
    saved_tensors: tuple[torch.Tensor, ...]
    needs_input_grad: tuple[bool, ...]
    shape: torch.Size
    operation: Operation
    options: tuple[Any, ...]

    def save_for_backward(self, *tensors: torch.Tensor) -> None: ...

    def mark_dirty(self, *tensors: torch.Tensor) -> None: ...


class _TouchedGradient(Function):
    """The output itself; its gradient goes on as it is, and to the table by the operation."""

    @staticmethod
    def forward(
        ctx: _Context,
        out: torch.Tensor,
        table: torch.Tensor,
        operation: Operation,
        options: tuple[Any, ...],
        *tensors: torch.Tensor,
    ) -> torch.Tensor:
        ctx.save_for_backward(*tensors)
        ctx.shape, ctx.operation, ctx.options = table.shape, operation, options
        # The same tensor and no view of it, to which a layer may add in place.
        ctx.mark_dirty(out)
        return out

    @staticmethod
    def backward(ctx: _Context, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        if torch.is_grad_enabled():
            raise InputError(
                "weight_gradient='touched' was given create_graph=True, and torch derives no sparse gradient twice; "
                "use weight_gradient='dense'."
            )
        indices, values = ctx.operation(grad, *ctx.saved_tensors, *ctx.options)
        return grad, _sparse(indices, values, ctx.shape), *(None for _ in ctx.needs_input_grad[2:])


def _sparse(indices: torch.Tensor, values: torch.Tensor, shape: torch.Size) -> torch.Tensor:
    """A coalesced tensor of the rows at ascending indices, without those at the first index behind the table."""
    leading = shape[: len(shape) - values.dim() + 1]
    visited = int(torch.searchsorted(indices, leading.numel()))
    place = indices.unsqueeze(0) if len(leading) == 1 else torch.stack((indices // leading[1], indices % leading[1]))
    return torch.sparse_coo_tensor(
        place[:, :visited], values[:visited], shape, check_invariants=False, is_coalesced=True
    )
