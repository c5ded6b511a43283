"""The derivatives of a product that is linear in an input and in a weight table, and chosen by an index.

Of the three operations, product, gradient to the input and gradient to the weight, each is linear in both of its
tensors, so the gradients of all three are again the three, and derivatives of every order follow.
"""

from typing import Any, NamedTuple, Protocol

import torch
from torch._ops import OpOverload

from capratio.kernels.definition import Context, differentiate
from capratio.kernels.touched_gradient import wants_touched, with_touched_gradient

Gradients = tuple[torch.Tensor | None, ...]


class Product(NamedTuple):
    """Operations of the same options (at least ``backend``).

    forward(x, weight, index, *options) -> y. input_gradient(dy, weight, index, *options) -> dx. weight_gradient(dy, x,
    index, rows, *options) -> dweight, where rows is the table's first size. touched_gradient(dy, x, index, rows,
    *options) -> the visited rows and their gradients, padded.
    """

    forward: OpOverload
    input_gradient: OpOverload
    weight_gradient: OpOverload
    touched_gradient: OpOverload

    def apply(
        self,
        x: torch.Tensor,
        weight: torch.Tensor,
        index: torch.Tensor,
        *options: Any,
        table: torch.Tensor,
        weight_gradient: str,
    ) -> torch.Tensor:
        """The product, with a gradient as ``weight_gradient`` says to the table that ``weight`` shows row by row.

        Raises InputError as ``wants_touched`` does.
        """
        touched = wants_touched(weight_gradient, table)
        out: torch.Tensor = self.forward(x, weight.detach() if touched else weight, index, *options)
        if not touched:
            return out
        return with_touched_gradient(out, table, self.touched_gradient, (x, index), (len(weight), *options))


class _OptionsContext(Context, Protocol):
    options: tuple[Any, ...]
    nones: tuple[None, ...]


def differentiate_product(product: Product) -> None:
    """Give the product and its two dense gradients each its gradient by the other two."""
    forward, input_gradient, weight_gradient, _ = product

    def save(ctx: _OptionsContext, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
        left, right, index, *options = inputs
        ctx.save_for_backward(left, right, index)
        ctx.options, ctx.nones = tuple(options), (None,) * (1 + len(options))

    def save_without_rows(ctx: _OptionsContext, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
        save(ctx, (*inputs[:3], *inputs[4:]), output)
        ctx.nones = (None, *ctx.nones)

    def backward(ctx: _OptionsContext, dy: torch.Tensor) -> Gradients:
        x, weight, index = ctx.saved_tensors
        needs_x, needs_weight = ctx.needs_input_grad[:2]
        dx = input_gradient(dy, weight, index, *ctx.options) if needs_x else None
        dweight = weight_gradient(dy, x, index, weight.shape[0], *ctx.options) if needs_weight else None
        return dx, dweight, *ctx.nones

    def input_gradient_backward(ctx: _OptionsContext, second: torch.Tensor) -> Gradients:
        dy, weight, index = ctx.saved_tensors
        needs_dy, needs_weight = ctx.needs_input_grad[:2]
        to_dy = forward(second, weight, index, *ctx.options) if needs_dy else None
        to_weight = weight_gradient(dy, second, index, weight.shape[0], *ctx.options) if needs_weight else None
        return to_dy, to_weight, *ctx.nones

    def weight_gradient_backward(ctx: _OptionsContext, second: torch.Tensor) -> Gradients:
        dy, x, index = ctx.saved_tensors
        needs_dy, needs_x = ctx.needs_input_grad[:2]
        to_dy = forward(x, second, index, *ctx.options) if needs_dy else None
        to_x = input_gradient(dy, second, index, *ctx.options) if needs_x else None
        return to_dy, to_x, *ctx.nones

    differentiate(forward, backward, save)
    differentiate(input_gradient, input_gradient_backward, save)
    differentiate(weight_gradient, weight_gradient_backward, save_without_rows)
