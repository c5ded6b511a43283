"""The answer of the dynamic gate, and whether its units are open where their probabilities say."""

import torch

from capratio.cost.systems.contract import SystemSpec
from capratio.cost.systems.dynamic_gate import DynamicGateSpec
from capratio.sweep.references.contract import Decisions, Parameters, Reference
from capratio.sweep.references.rounding import linear_error, summed_eps


class DynamicGateReference(Reference):
    """y = W_2 (h ⊙ (mask + π − π as a constant)) + b_2 with the layer's mask."""

    rounds_hidden = True

    def output(
        self, spec: SystemSpec, parameters: Parameters, x: torch.Tensor, token: int, decisions: Decisions
    ) -> torch.Tensor:
        """One token's output; a closed unit is 0 and has its gate's gradient."""
        assert isinstance(spec, DynamicGateSpec)
        probability = _probability(spec, parameters, x[token])
        gate = decisions["open"][token].double() + probability - probability.detach()
        return parameters["weight_out"] @ (_hidden(parameters, x[token]) * gate) + parameters["bias_out"]

    def wrong_decision(
        self, spec: SystemSpec, parameters: Parameters, x: torch.Tensor, decisions: Decisions, eps: float
    ) -> str | None:
        """A unit on the other side of the threshold than its probability, by more than rounding.

        eps is of the layer's dtype, to which hidden units are rounded.
        """
        assert isinstance(spec, DynamicGateSpec)
        probability, opened = _probability(spec, parameters, x), decisions["open"]
        distance = probability - spec.threshold
        wrong = (opened != (distance > 0)) & (distance.abs() > _slack(spec, parameters, x, eps))
        for token, unit in wrong.nonzero().tolist():
            state = "open" if opened[token, unit] else "closed"
            return (
                f"token {token}: unit {unit} is {state}, but its probability is {float(probability[token, unit]):.6f} "
                f"and the threshold {spec.threshold}"
            )
        return None


def _hidden(parameters: Parameters, x: torch.Tensor) -> torch.Tensor:
    return (x @ parameters["weight_in"].t() + parameters["bias_in"]).clamp(min=0)


def _probability(spec: DynamicGateSpec, parameters: Parameters, x: torch.Tensor) -> torch.Tensor:
    scores = _hidden(parameters, x) @ parameters["gate_weight"].t() + parameters["gate_bias"]
    return torch.sigmoid(scores / spec.temperature)


def _slack(spec: DynamicGateSpec, parameters: Parameters, x: torch.Tensor, eps: float) -> torch.Tensor:
    """How far a probability may be off: a sigmoid is nowhere steeper than 1/4, and is itself rounded, in float32."""
    error = linear_error(parameters["weight_in"], parameters["bias_in"], x, torch.zeros_like(x), eps)
    gate, scored = (parameters["gate_weight"], parameters["gate_bias"]), summed_eps(eps)
    return linear_error(*gate, _hidden(parameters, x), error, scored) / (4 * spec.temperature) + scored
