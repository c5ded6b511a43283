"""Adaptive computation time: each token's state is updated until its halting unit has said enough."""

from math import inf

import torch
from torch import nn
from torch.nn.functional import linear

from capratio.cost.systems.act import HALTING_BIAS, ActSpec
from capratio.cost.systems.contract import Visits
from capratio.kernels.backends import AUTO
from capratio.kernels.precision import sum_dtype
from capratio.kernels.router_logits import router_logits
from capratio.layers.conditional_layer import ConditionalLayer, Decisions, Outcome
from capratio.layers.initialization import draw_linear, new_table
from capratio.layers.input_check import as_autocast


class AdaptiveComputationTime(ConditionalLayer):
    """y = V Σ_n π_n s_n + c, s_n = tanh(W s_{n−1} + U x + b) from s_0 = 0, for n = 1..N steps of the token's own.

    Halting h_n = σ(w . s_n + w_0). N = the first n with h_1 + … + h_n ≥ 1 − ε, at most ``max_steps``; π_n = h_n before
    it, and π_N = R = 1 − Σ_{n<N} h_n. A token that has halted is computed no further: each step gathers the tokens that
    go on. The count N has no gradient, the remainder R has.

    ``weight_in`` U: (h, p). ``weight_state`` W: (h, h). ``bias_state`` b: (h,). ``halting_weight`` w: (1, h).
    ``halting_bias`` w_0: (1,), which begins at 1. ``weight_out`` V: (q, h). ``bias_out`` c: (q,). The others are drawn
    as nn.Linear draws. The inner cell and the output's projection are our choice; the paper's flag on the input of the
    first step is left out, since a zero state tells that step already. Of half types halting, shares and the mean of
    states are float32.

    Decisions: ``steps``, N, int64 (N,). Kept: ``remainder``, R, (N,). The loop ends when no token goes on, which the
    host must know: ``torch.compile`` takes the layer in one graph with
    ``torch._dynamo.config.capture_dynamic_output_shape_ops``, and ``torch.export`` as it is; both run all
    ``max_steps``, the ones that are too many on no tokens.

    Args: hidden h: units of the state. max_steps: a count. epsilon ε. backend: of the halting unit's product.

    Raises InputError for sizes under 1, an epsilon that is not in 0..1, 1 left out, or an unknown backend.

    Source: Graves 2016, arXiv 1603.08983.
    """

    operation = "router_logits"
    spec: ActSpec

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        hidden: int = 1024,
        max_steps: int = 8,
        epsilon: float = 0.01,
        backend: str = AUTO,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(ActSpec(in_features, out_features, hidden, max_steps, epsilon), backend)
        self.weight_in = new_table((hidden, in_features), device, dtype)
        self.weight_state = new_table((hidden, hidden), device, dtype)
        self.bias_state = new_table((hidden,), device, dtype)
        self.halting_weight = new_table((1, hidden), device, dtype)
        self.halting_bias = new_table((1,), device, dtype)
        self.weight_out = new_table((out_features, hidden), device, dtype)
        self.bias_out = new_table((out_features,), device, dtype)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all parameters, but for the halting unit's bias, which is 1."""
        draw_linear(self.weight_in, self.in_features)
        for table in (self.weight_state, self.bias_state, self.halting_weight, self.weight_out, self.bias_out):
            draw_linear(table, self.spec.hidden)
        nn.init.constant_(self.halting_bias, HALTING_BIAS)

    def losses(self, outcome: Outcome) -> dict[str, torch.Tensor]:
        """The mean of N + R as ``ponder``, 0 for no tokens; the paper adds τ times their sum."""
        steps = outcome.decisions["steps"]
        return {"ponder": (steps + outcome.kept["remainder"]).sum() / max(len(steps), 1)}

    def visits(self, decisions: Decisions) -> Visits:
        """All steps, the most of a token, and how many tokens take these."""
        steps = decisions["steps"]
        rounds = int(steps.max()) if len(steps) else 0
        counts = {"steps": int(steps.sum()), "rounds": rounds, "last_round": int((steps == rounds).sum())}
        return Visits(len(steps), counts)

    def _compute(self, x: torch.Tensor, generator: torch.Generator | None, ids: torch.Tensor | None) -> Outcome:
        drive = linear(x, self.weight_in, self.bias_state)
        wide = sum_dtype(self.dtype)
        mean, state = torch.zeros_like(drive, dtype=wide), torch.tanh(drive)
        running = torch.arange(x.shape[0], device=x.device)
        left = torch.ones(x.shape[0], dtype=wide, device=x.device)
        steps, remainder = torch.zeros_like(running), torch.zeros_like(left)
        for step in range(1, self.spec.max_steps + 1):
            halting = self._halting(state)
            after = left - halting
            halted = after <= (self.spec.epsilon if step < self.spec.max_steps else inf)
            share = torch.where(halted, left, halting)
            mean.index_add_(0, running, share.unsqueeze(1) * state)
            # What a token's last step writes stays.
            steps.index_fill_(0, running, step)
            remainder.index_copy_(0, running, left)
            going_on = halted.logical_not().nonzero().squeeze(1)
            # A compiler cannot know whether any go on.
            if not torch.compiler.is_compiling() and len(going_on) == 0:
                break
            running, left, drive = (rows.index_select(0, going_on) for rows in (running, after, drive))
            state = torch.tanh(drive + linear(state.index_select(0, going_on), self.weight_state))
        out = linear(mean.to(drive.dtype), self.weight_out, self.bias_out)
        return Outcome(as_autocast(out), {"steps": steps}, {"remainder": remainder})

    def _halting(self, state: torch.Tensor) -> torch.Tensor:
        """σ(w . s + w_0): (N, h) -> (N,)."""
        logits = router_logits(state.to(self.dtype), self.halting_weight, self.backend) + self.halting_bias
        return torch.sigmoid(logits.squeeze(1))
