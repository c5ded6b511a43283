"""A feedforward network whose hidden units a gate opens and closes for each token, and learns by a straight way."""

import torch
from torch.nn.functional import linear, relu

from capratio.cost.systems.contract import Visits
from capratio.cost.systems.dynamic_gate import DynamicGateSpec
from capratio.kernels.backends import AUTO
from capratio.kernels.router_logits import router_logits
from capratio.layers.conditional_layer import ConditionalLayer, Decisions, Outcome
from capratio.layers.initialization import draw_linear, new_table
from capratio.layers.input_check import as_autocast


class DynamicGateNetwork(ConditionalLayer):
    """y = W_2 (h ⊙ gate) + b_2, h = relu(W_1 x + b_1), gate = [π > θ] with the gradient of π = σ((G h + c) / T).

    ``weight_in`` W_1: (h, p). ``bias_in``: (h,). ``gate_weight`` G: (h, h). ``gate_bias``: (h,). ``weight_out`` W_2:
    (q, h). ``bias_out``: (q,). All are drawn as nn.Linear draws. Training and evaluation compute the same.

    Nothing is skipped: a closed unit is computed and multiplied by 0, and the gate, h x h, costs more than the network
    that it gates wherever h > p + q. Its use is what it learns to leave out, not time.

    Decisions: ``open``, bool (N, h). Kept: ``probability``, π, (N, h), float32 for half precision. Compiles and exports
    in one graph.

    Args: hidden h: units. temperature T. threshold θ. backend: of the gate's product.

    Raises InputError for sizes under 1, a temperature that is not above 0 and finite, a threshold outside of 0..1, or
    an unknown backend.

    Source: DynamicGate-MLP 2026, as in its code.
    """

    operation = "router_logits"
    spec: DynamicGateSpec

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        hidden: int = 1024,
        temperature: float = 1.0,
        threshold: float = 0.5,
        backend: str = AUTO,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(DynamicGateSpec(in_features, out_features, hidden, temperature, threshold), backend)
        self.weight_in = new_table((hidden, in_features), device, dtype)
        self.bias_in = new_table((hidden,), device, dtype)
        self.gate_weight = new_table((hidden, hidden), device, dtype)
        self.gate_bias = new_table((hidden,), device, dtype)
        self.weight_out = new_table((out_features, hidden), device, dtype)
        self.bias_out = new_table((out_features,), device, dtype)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all parameters."""
        for table in (self.weight_in, self.bias_in):
            draw_linear(table, self.in_features)
        for table in (self.gate_weight, self.gate_bias, self.weight_out, self.bias_out):
            draw_linear(table, self.spec.hidden)

    def losses(self, outcome: Outcome) -> dict[str, torch.Tensor]:
        """The mean of π as ``rate``, 0 for no tokens; the paper adds λ times it."""
        probability = outcome.kept["probability"]
        return {"rate": probability.sum() / max(probability.numel(), 1)}

    def visits(self, decisions: Decisions) -> Visits:
        """Pairs of a token and an open unit."""
        opened = decisions["open"]
        return Visits(len(opened), {"live_units": int(opened.sum())})

    def _compute(self, x: torch.Tensor, generator: torch.Generator | None, ids: torch.Tensor | None) -> Outcome:
        h = relu(linear(x, self.weight_in, self.bias_in))
        scores = router_logits(h.to(self.dtype), self.gate_weight, self.backend) + self.gate_bias
        probability = torch.sigmoid(scores / self.spec.temperature)
        opened = probability > self.spec.threshold
        gate = straight_through(opened, probability).to(h.dtype)
        out = linear(h * gate, self.weight_out, self.bias_out)
        return Outcome(as_autocast(out), {"open": opened}, {"probability": probability})


def straight_through(opened: torch.Tensor, probability: torch.Tensor) -> torch.Tensor:
    """The mask as numbers, with the gradient of the probability: mask + (π − π as a constant).

    The bracket is 0, so that the value is the mask to the bit. ``mask + (π − mask) as a constant`` has the value of π
    and no gradient at all.
    """
    return opened + (probability - probability.detach())
