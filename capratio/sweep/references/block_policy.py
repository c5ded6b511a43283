"""The answer of the block policy network, block by block, and whether its coins fell as their probabilities say."""

from math import log

import torch

from capratio.cost.systems.block_policy import BlockPolicySpec
from capratio.cost.systems.contract import SystemSpec
from capratio.sweep.references.contract import Decisions, Parameters, Reference

# Rounding errors of a sum are taken to be at most so many units of its terms' sizes.
ERROR_UNITS = 4


class BlockPolicyReference(Reference):
    """h_l = f(W_l h_{l−1} + b_l) ⊙ u_l and out = V h_L + c, of the blocks that live."""

    def output(
        self, spec: SystemSpec, parameters: Parameters, x: torch.Tensor, token: int, decisions: Decisions
    ) -> torch.Tensor:
        """One token's output, its coins as decided."""
        assert isinstance(spec, BlockPolicySpec)
        h, live = x[token], decisions["live"][token].tolist()
        for layer in range(spec.hidden_layers):
            h = _hidden(spec, parameters, h, layer, live[layer])
        return parameters["biases." + str(spec.hidden_layers)] + parameters["weights." + str(spec.hidden_layers)] @ h

    def wrong_decision(
        self, spec: SystemSpec, parameters: Parameters, x: torch.Tensor, decisions: Decisions, eps: float
    ) -> str | None:
        """A coin that lies on the other side of its draw than its probability does, by more than rounding.

        eps is of the layer's dtype where it has more than one hidden layer, since a hidden value is rounded to that.
        """
        assert isinstance(spec, BlockPolicySpec)
        for token in range(len(x)):
            wrong = _wrong_coin(spec, parameters, x[token], decisions, token, eps)
            if wrong:
                return wrong
        return None


def _hidden(
    spec: BlockPolicySpec, parameters: Parameters, h: torch.Tensor, layer: int, live: list[bool]
) -> torch.Tensor:
    """A hidden layer's values, zero in dead blocks."""
    weight, bias = parameters[f"weights.{layer}"], parameters[f"biases.{layer}"]
    values = []
    for block, alive in enumerate(live):
        units = slice(block * spec.block_size, (block + 1) * spec.block_size)
        total = weight[units] @ h + bias[units]
        value = torch.tanh(total) if spec.activation == "tanh" else total * (total > 0)
        values.append(value if alive else torch.zeros_like(value))
    return torch.cat(values)


def _wrong_coin(
    spec: BlockPolicySpec, parameters: Parameters, x: torch.Tensor, decisions: Decisions, token: int, eps: float
) -> str | None:
    """Of one token; errors are bounds on how far rounding moved a value, carried from layer to layer."""
    h, error = x.detach(), torch.zeros_like(x)
    live, uniform = decisions["live"][token].tolist(), decisions["uniform"][token].double()
    for layer in range(spec.hidden_layers):
        weight, bias = (parameters[f"policies.{layer}.{name}"].detach() for name in ("weight", "bias"))
        probability = torch.sigmoid(weight @ h + bias + log(spec.rate / (1 - spec.rate)))
        # A sigmoid is nowhere steeper than 1/4, and is itself rounded, as the draw is not.
        slack = _error(weight, bias, h, error, eps) / 4 + eps
        for block in range(spec.blocks):
            draw, chance = float(uniform[layer, block]), float(probability[block])
            if live[layer][block] != (draw < chance) and abs(draw - chance) > float(slack[block]):
                state = "lives" if live[layer][block] else "is dead"
                return (
                    f"token {token}: block {block} of hidden layer {layer + 1} {state}, but its draw is {draw:.6f} and "
                    f"its probability {chance:.6f}"
                )
        of_layer = parameters[f"weights.{layer}"].detach(), parameters[f"biases.{layer}"].detach()
        error = _error(*of_layer, h, error, eps)
        h = _hidden(spec, parameters, h, layer, live[layer]).detach()
        error = error * torch.tensor(live[layer]).repeat_interleave(spec.block_size)
    return None


def _error(weight: torch.Tensor, bias: torch.Tensor, h: torch.Tensor, error: torch.Tensor, eps: float) -> torch.Tensor:
    """How far W h + b may be off: what h is off, and rounding by the sizes of the terms; f does not widen it."""
    return weight.abs() @ (error + ERROR_UNITS * eps * h.abs()) + ERROR_UNITS * eps * bias.abs()
