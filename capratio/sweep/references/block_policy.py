"""The answer of the block policy network, block by block, and whether its coins fell as their probabilities say."""

from collections.abc import Iterator
from itertools import compress
from math import log

import torch

from capratio.cost.systems.block_policy import BlockPolicySpec
from capratio.cost.systems.contract import SystemSpec
from capratio.sweep.references.contract import Decisions, Parameters, Reference
from capratio.sweep.references.rounding import linear_error, summed_eps

# Neighbouring features of a layer, and their values; what stands in no piece is zero.
Piece = tuple[range, torch.Tensor]


class BlockPolicyReference(Reference):
    """h_l = f(W_l h_{l−1} + b_l) ⊙ u_l and out = V h_L + c, of the blocks that live."""

    rounds_hidden = True

    def output(
        self, spec: SystemSpec, parameters: Parameters, x: torch.Tensor, token: int, decisions: Decisions
    ) -> torch.Tensor:
        """One token's output, its coins as decided."""
        assert isinstance(spec, BlockPolicySpec)
        live = decisions["live"][token].tolist()
        pieces = [(range(spec.in_features), x[token])]
        for layer in range(spec.hidden_layers):
            pieces = _hidden(spec, parameters, pieces, layer, live[layer])
        return _product(parameters, spec.hidden_layers, range(spec.out_features), pieces)

    def wrong_decision(
        self, spec: SystemSpec, parameters: Parameters, x: torch.Tensor, decisions: Decisions, eps: float
    ) -> str | None:
        """A coin that lies on the other side of its draw than its probability does, by more than rounding.

        eps is of the layer's dtype, to which hidden values are rounded; a policy's product is float32 in half types.
        """
        assert isinstance(spec, BlockPolicySpec)
        with torch.no_grad():
            found = (_wrong_coin(spec, parameters, x[token], decisions, token, eps) for token in range(len(x)))
            return next((wrong for wrong in found if wrong), None)


def _hidden(
    spec: BlockPolicySpec, parameters: Parameters, pieces: list[Piece], layer: int, live: list[bool]
) -> list[Piece]:
    """A hidden layer's live blocks."""
    hidden = []
    for units in _live_units(spec, live):
        total = _product(parameters, layer, units, pieces)
        hidden.append((units, torch.tanh(total) if spec.activation == "tanh" else total * (total > 0)))
    return hidden


def _product(parameters: Parameters, layer: int, rows: range, pieces: list[Piece]) -> torch.Tensor:
    """W h + b of some rows."""
    total = parameters.row(f"biases.{layer}", rows)
    for columns, values in pieces:
        total = total + parameters.row(f"weights.{layer}", rows, columns) @ values
    return total


def _live_units(spec: BlockPolicySpec, live: list[bool]) -> Iterator[range]:
    """The units of each live block."""
    for block in compress(range(spec.blocks), live):
        yield range(block * spec.block_size, (block + 1) * spec.block_size)


def _whole(like: torch.Tensor, features: int, pieces: list[Piece]) -> torch.Tensor:
    """A layer's values, zero in dead blocks."""
    whole = like.new_zeros(features)
    for columns, values in pieces:
        whole[columns.start : columns.stop] = values
    return whole


def _wrong_coin(
    spec: BlockPolicySpec, parameters: Parameters, x: torch.Tensor, decisions: Decisions, token: int, eps: float
) -> str | None:
    """Of one token; errors are bounds on how far rounding moved a value, carried from layer to layer."""
    pieces, h, error = [(range(len(x)), x)], x, torch.zeros_like(x)
    live, draws = decisions["live"][token].tolist(), decisions["uniform"][token].tolist()
    for layer in range(spec.hidden_layers):
        if layer > 0:
            error = _hidden_error(spec, parameters, h, error, layer - 1, live[layer - 1], eps)
            pieces = _hidden(spec, parameters, pieces, layer - 1, live[layer - 1])
            h = _whole(x, spec.hidden, pieces)
        weight = parameters[f"policies.{layer}.weight"]
        bias = parameters[f"policies.{layer}.bias"] + log(spec.rate / (1 - spec.rate))
        chances = torch.sigmoid(weight @ h + bias).tolist()
        # A sigmoid is nowhere steeper than 1/4, and is itself rounded, as the draw is not.
        scored = summed_eps(eps)
        slacks = (linear_error(weight, bias, h, error, scored) / 4 + scored).tolist()
        for block, (draw, chance, slack) in enumerate(zip(draws[layer], chances, slacks, strict=True)):
            if live[layer][block] != (draw < chance) and abs(draw - chance) > slack:
                state = "lives" if live[layer][block] else "is dead"
                return (
                    f"token {token}: block {block} of hidden layer {layer + 1} {state}, but its draw is {draw:.6f} and "
                    f"its probability {chance:.6f}"
                )
    return None


def _hidden_error(
    spec: BlockPolicySpec,
    parameters: Parameters,
    h: torch.Tensor,
    error: torch.Tensor,
    layer: int,
    live: list[bool],
    eps: float,
) -> torch.Tensor:
    """How far a hidden layer's values may be off, from the layer before it; f widens nothing, and a dead block is 0."""
    columns, off = range(len(h)), []
    for units in _live_units(spec, live):
        weight, bias = parameters.row(f"weights.{layer}", units, columns), parameters.row(f"biases.{layer}", units)
        off.append((units, linear_error(weight, bias, h, error, eps)))
    return _whole(h, spec.hidden, off)
