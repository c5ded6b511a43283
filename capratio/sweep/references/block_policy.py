"""The answer of the block policy network, block by block, and whether its coins fell as their probabilities say."""

from math import log

import torch

from capratio.cost.systems.block_policy import BlockPolicySpec
from capratio.cost.systems.contract import SystemSpec
from capratio.sweep.references.contract import Decisions, Parameters, Reference
from capratio.sweep.references.rounding import linear_error, summed_eps


class BlockPolicyReference(Reference):
    """h_l = f(W_l h_{l−1} + b_l) ⊙ u_l and out = V h_L + c, of the blocks that live."""

    rounds_hidden = True

    def output(
        self, spec: SystemSpec, parameters: Parameters, x: torch.Tensor, token: int, decisions: Decisions
    ) -> torch.Tensor:
        """One token's output, its coins as decided."""
        assert isinstance(spec, BlockPolicySpec)
        h, live = x[token], decisions["live"][token].tolist()
        for layer in range(spec.hidden_layers):
            h = _hidden(spec, parameters, h, layer, live[layer])
        return parameters[f"biases.{spec.hidden_layers}"] + parameters[f"weights.{spec.hidden_layers}"] @ h

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
    spec: BlockPolicySpec, parameters: Parameters, h: torch.Tensor, layer: int, live: list[bool]
) -> torch.Tensor:
    """A hidden layer's values, zero in dead blocks."""
    values = []
    for block, alive in enumerate(live):
        weight, bias = _of_block(spec, parameters, layer, block)
        total = weight @ h + bias if alive else torch.zeros_like(bias)
        values.append(torch.tanh(total) if spec.activation == "tanh" else total * (total > 0))
    return torch.cat(values)


def _of_block(
    spec: BlockPolicySpec, parameters: Parameters, layer: int, block: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """The weights and biases of a block's units."""
    units = slice(block * spec.block_size, (block + 1) * spec.block_size)
    return parameters[f"weights.{layer}"][units], parameters[f"biases.{layer}"][units]


def _wrong_coin(
    spec: BlockPolicySpec, parameters: Parameters, x: torch.Tensor, decisions: Decisions, token: int, eps: float
) -> str | None:
    """Of one token; errors are bounds on how far rounding moved a value, carried from layer to layer."""
    h, error = x, torch.zeros_like(x)
    live, draws = decisions["live"][token].tolist(), decisions["uniform"][token].tolist()
    for layer in range(spec.hidden_layers):
        if layer > 0:
            error = _hidden_error(spec, parameters, h, error, layer - 1, live[layer - 1], eps)
            h = _hidden(spec, parameters, h, layer - 1, live[layer - 1])
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
    errors = []
    for block, alive in enumerate(live):
        weight, bias = _of_block(spec, parameters, layer, block)
        errors.append(linear_error(weight, bias, h, error, eps) if alive else torch.zeros_like(bias))
    return torch.cat(errors)
