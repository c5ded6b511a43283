"""Alternating updates: any layer of width d serves a token of K such blocks, or a sequence of which it computes a part.

``AltUp`` widens the token; ``RecycledAltUp`` is it between a narrow input and a narrow output; ``SequenceAltUp`` makes
the sequence long. In each, cheap scalars predict what the layer would give, and correct what they predicted by what it
gave where it was computed.

Source: Baykal et al. 2023, arXiv 2301.13310. The sequence form is our reading.
"""

from typing import Any

import torch
from torch import nn

from capratio.cost.systems.altup import ALTERNATING, SAME
from capratio.errors import InputError
from capratio.layers.initialization import new_table
from capratio.layers.input_check import as_autocast, check_input

CHOICES = (ALTERNATING, SAME)


class AltUp(nn.Module):
    """x'_i = x̂_i + g_i (layer(x_j*) − x̂_j*), x̂_i = Σ_j p_ij x_j, for the K blocks x_i of a token of K d features.

    ``prediction`` p: (K, K). ``correction`` g: (K,). They begin as the identity and as ones, with which a token of K
    equal blocks comes out as K times the layer's own output.

    Args: wrapped: a layer (..., d) -> (..., d). width d, blocks K: counts. choice: of the one block j* that the layer
    computes; ``alternating``: j* = place mod K, ``same``: the first. place: number of this layer in its network, from
    0.

    The scalars are of the wrapped layer's device and dtype where none is given.

    Raises InputError for a width or blocks that are no integer or under 1, a negative place, or another choice.

    Source: Baykal et al. 2023, arXiv 2301.13310.
    """

    def __init__(
        self,
        wrapped: nn.Module,
        width: int,
        *,
        blocks: int = 2,
        choice: str = ALTERNATING,
        place: int = 0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        _check_integers("AltUp", width=width, blocks=blocks, place=place)
        if min(width, blocks) < 1 or place < 0:
            raise InputError(
                f"AltUp was given width={width}, blocks={blocks} and place={place}; give at least 1, 1 and 0."
            )
        if choice not in CHOICES:
            raise InputError(f"AltUp was given choice={choice!r}; it must be one of {', '.join(CHOICES)}.")
        self.wrapped = wrapped
        self.width = width
        self.blocks = blocks
        self.computed_block = place % blocks if choice == ALTERNATING else 0
        device, dtype = _as_wrapped(wrapped, device, dtype)
        self.prediction = new_table((blocks, blocks), device, dtype)
        self.correction = new_table((blocks,), device, dtype)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Let every block predict itself and take the whole correction; the wrapped layer has a reset of its own."""
        nn.init.eye_(self.prediction)
        nn.init.ones_(self.correction)

    def forward(self, x: torch.Tensor, **given: Any) -> torch.Tensor:
        """The outputs, (..., K d) -> (..., K d). Args: given: what the wrapped layer takes beside its input.

        Raises InputError where x is not K d wide or of another dtype, or the wrapped layer does not give back what it
        was given.
        """
        check_input(x, self.blocks * self.width, self.prediction.dtype)
        blocks = x.view(*x.shape[:-1], self.blocks, self.width).chunk(self.blocks, -2)
        predicted = self._predict(blocks)
        given_block = blocks[self.computed_block].squeeze(-2)
        computed = self.wrapped(given_block, **given)
        _check_computed("AltUp", computed, given_block)
        there = slice(self.computed_block, self.computed_block + 1)
        innovation = computed.unsqueeze(-2) - predicted[..., there, :]
        corrected: torch.Tensor = predicted + self.correction.unsqueeze(-1) * innovation
        return as_autocast(corrected.flatten(-2))

    def _predict(self, blocks: tuple[torch.Tensor, ...]) -> torch.Tensor:
        """x̂: K of (..., 1, d) -> (..., K, d), element by element: scalars make no product of the layer's."""
        columns = self.prediction.chunk(self.blocks, 1)
        predicted = columns[0] * blocks[0]
        for column, block in zip(columns[1:], blocks[1:], strict=True):
            predicted = predicted + column * block
        return predicted

    def extra_repr(self) -> str:
        """The sizes, and the block that is computed."""
        return f"width={self.width}, blocks={self.blocks}, computed_block={self.computed_block}"


class RecycledAltUp(nn.Module):
    """Σ_i of the blocks that ``AltUp`` makes of K copies of x: (..., d) -> (..., d).

    Embedding and output projection stay d wide. As it begins, it is K times the wrapped layer.

    Args: updates: one layer, or several in their order (nn.Sequential), between the copies and the sum. blocks K.

    Raises InputError for blocks that are no integer or under 1.

    Source: Baykal et al. 2023, arXiv 2301.13310.
    """

    def __init__(self, updates: nn.Module, blocks: int) -> None:
        super().__init__()
        _check_integers("RecycledAltUp", blocks=blocks)
        if blocks < 1:
            raise InputError(f"RecycledAltUp was given blocks={blocks}; it must be at least 1.")
        self.updates = updates
        self.blocks = blocks

    def forward(self, x: torch.Tensor, **given: Any) -> torch.Tensor:
        """The outputs, (..., d) -> (..., d). Args: given: what the updates take beside their input.

        Raises InputError where the updates do not give back as much as the copies that they were given.
        """
        copies = replicate_blocks(x, self.blocks)
        updated = self.updates(copies, **given)
        _check_computed("RecycledAltUp", updated, copies)
        return sum_blocks(updated, self.blocks)


class SequenceAltUp(nn.Module):
    """y_i = ŷ_i + b (layer(x_a) − ŷ_a), ŷ_i = a_1 x_i + a_2 x_a, with the anchor a = s floor(i/s) of token i.

    The layer computes the anchors alone, one in s tokens; for a layer that mixes tokens they are its whole sequence.
    ``prediction`` (a_1, a_2): (2,). ``correction`` b: (). They begin as (1, 0) and 1, with which an anchor comes out as
    the layer's own output.

    Args: wrapped: a layer (..., T, d) -> (..., T, d). stride s: a count.

    Raises InputError for a stride that is no integer or under 1.

    Source: Baykal et al. 2023, arXiv 2301.13310, our reading.
    """

    def __init__(
        self,
        wrapped: nn.Module,
        *,
        stride: int = 2,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        _check_integers("SequenceAltUp", stride=stride)
        if stride < 1:
            raise InputError(f"SequenceAltUp was given stride={stride}; it must be at least 1.")
        self.wrapped = wrapped
        self.stride = stride
        device, dtype = _as_wrapped(wrapped, device, dtype)
        self.prediction = new_table((2,), device, dtype)
        self.correction = new_table((), device, dtype)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Let every token predict itself and take the whole correction; the wrapped layer has a reset of its own."""
        with torch.no_grad():
            self.prediction.copy_(torch.tensor([1.0, 0.0]))
            self.correction.fill_(1.0)

    def forward(self, x: torch.Tensor, **given: Any) -> torch.Tensor:
        """The outputs, (..., T, d) -> (..., T, d). Args: given: what the wrapped layer takes beside its input.

        Raises InputError where x is no sequence of tokens or of another dtype, or the wrapped layer does not give back
        what it was given.
        """
        if x.dim() < 2:
            raise InputError(
                f"SequenceAltUp was given x of shape {tuple(x.shape)}; give a sequence of tokens, (..., T, d)."
            )
        check_input(x, x.shape[-1], self.prediction.dtype)
        own, of_anchor = self.prediction.unbind()
        anchors = x[..., :: self.stride, :]
        anchor_of = torch.arange(x.shape[-2], device=x.device) // self.stride
        computed = self.wrapped(anchors, **given)
        _check_computed("SequenceAltUp", computed, anchors)
        # The gradient of an index adds in a fixed order on a GPU too, that of index_select in any order.
        predicted = own * x + (of_anchor * anchors)[..., anchor_of, :]
        innovation = self.correction * (computed - predicted[..., :: self.stride, :])
        corrected: torch.Tensor = predicted + innovation[..., anchor_of, :]
        return as_autocast(corrected)

    def extra_repr(self) -> str:
        """The stride."""
        return f"stride={self.stride}"


def replicate_blocks(x: torch.Tensor, blocks: int) -> torch.Tensor:
    """K copies of every token behind one another: (..., d) -> (..., K d)."""
    return x.unsqueeze(-2).expand(*x.shape[:-1], blocks, x.shape[-1]).flatten(-2)


def sum_blocks(x: torch.Tensor, blocks: int) -> torch.Tensor:
    """The sum of a token's K blocks: (..., K d) -> (..., d)."""
    return x.view(*x.shape[:-1], blocks, x.shape[-1] // blocks).sum(-2)


def _as_wrapped(
    wrapped: nn.Module, device: torch.device | str | None, dtype: torch.dtype | None
) -> tuple[torch.device | str | None, torch.dtype | None]:
    """The device and the dtype of the wrapped layer where none is given, so that outputs are of its own."""
    first = next((each for each in wrapped.parameters() if each.is_floating_point()), None)
    if first is None:
        return device, dtype
    return first.device if device is None else device, first.dtype if dtype is None else dtype


def _check_integers(layer: str, **counts: int) -> None:
    for name, count in counts.items():
        if type(count) is not int:
            raise InputError(f"{layer} was given {name}={count!r}; it must be an integer of Python's own.")


def _check_computed(layer: str, computed: object, given: torch.Tensor) -> None:
    """Raise InputError where what the wrapped layer gives would only be broadcast, or does not fit at all."""
    if not isinstance(computed, torch.Tensor):
        raise InputError(f"the layer that {layer} wraps gave a {type(computed).__name__}; it must give one tensor.")
    if computed.shape != given.shape:
        raise InputError(
            f"the layer that {layer} wraps made {tuple(computed.shape)} of {tuple(given.shape)}; it must give back as "
            "many features as it takes."
        )
