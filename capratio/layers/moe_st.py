"""The ST-MoE layer: one or two GEGLU experts a token, and no more tokens an expert than its capacity."""

import torch
from torch import nn
from torch.nn.functional import gelu, linear

from capratio.cost.systems.contract import Visits
from capratio.cost.systems.moe_st import ACTIVATION, MoeStSpec
from capratio.kernels.backends import AUTO
from capratio.kernels.expert_feedforward import expert_feedforward
from capratio.kernels.router_logits import router_logits
from capratio.layers.conditional_layer import ConditionalLayer, Decisions, Outcome
from capratio.layers.expert_capacity import slot_ranks, turns
from capratio.layers.initialization import draw_linear, new_table
from capratio.layers.router_losses import balance_loss, z_loss

# Shares of a second expert above this are always worth its work.
THRESHOLD = 0.2
# Of an int64, and more than there can be tokens.
MOST_SLOTS = 2**62


class StableMixture(ConditionalLayer):
    """y = sum over the experts e that gave the token a slot of share_e W_out[e] (gelu(G_e x) * V_e x), W_in = (G, V).

    ``router``: (E, p). ``weight_in``: (E, 2h, p), of each expert first the gate's rows G, then V. ``weight_out``: (E,
    q, h). ``hidden_scale``: (E, h), begins at 1, with a multiplicative bias; it scales what goes into W_out.
    ``dense_in``: (2h, p) and ``dense_out``: (q, h), with a dense network beside, whose output is added.

    Logits, shares and what is drawn are float32 for half types, all else is in x's dtype. A token that no expert has a
    slot for gives 0: the caller adds the residual. Where every expert has a slot for every token, none are counted.
    In training an expert has ceil(capacity_train N / E) slots, else ceil(capacity_eval N / E); N is the whole batch,
    all leading dimensions together. A multiplicative bias is folded into ``weight_out`` of all experts at each call.

    Decisions: ``chosen`` (N, k), the experts of highest logit, best first, of equal ones any; ``asked`` (N, k), -1 in
    place of a second one that its rule leaves out; ``expert`` (N, k), -1 where there was no slot either; ``capacity``
    (N,), of the batch; ``draw`` (N,), uniform, where the second is random; ``turn`` (N,), where tokens are prioritised
    and slots are counted. Losses, unweighted: ``z`` (the paper's weight is 1e-3) and ``balance`` (1e-2).

    Args, raises: as MoeStSpec; backend: as ConditionalLayer. Weights are drawn as nn.Linear draws them.

    Compiled, slots are always counted, so that one graph serves any number of tokens.

    Source: Zoph et al. 2022, arXiv 2202.08906; what is our reading is said in MoeStSpec.
    """

    operation = "expert_feedforward"
    spec: MoeStSpec

    router: nn.Parameter
    weight_in: nn.Parameter
    weight_out: nn.Parameter
    hidden_scale: nn.Parameter
    dense_in: nn.Parameter
    dense_out: nn.Parameter

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        experts: int = 16,
        top_k: int = 2,
        hidden: int = 1024,
        capacity_train: float = 1.25,
        capacity_eval: float = 2.0,
        second: str = "random",
        prioritised: bool = False,
        dense_beside: bool = False,
        multiplicative_bias: bool = False,
        backend: str = AUTO,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        spec = MoeStSpec(
            in_features,
            out_features,
            experts=experts,
            top_k=top_k,
            hidden=hidden,
            capacity_train=capacity_train,
            capacity_eval=capacity_eval,
            second=second,
            prioritised=prioritised,
            dense_beside=dense_beside,
            multiplicative_bias=multiplicative_bias,
        )
        super().__init__(spec, backend)
        shapes = {
            "router": (experts, in_features),
            "weight_in": (experts, 2 * hidden, in_features),
            "weight_out": (experts, out_features, hidden),
        }
        if multiplicative_bias:
            shapes["hidden_scale"] = (experts, hidden)
        if dense_beside:
            shapes |= {"dense_in": (2 * hidden, in_features), "dense_out": (out_features, hidden)}
        for name, shape in shapes.items():
            self.register_parameter(name, new_table(shape, device, dtype))
        self._slots_per_token = {mode: spec.slots_per_token(mode).as_integer_ratio() for mode in (False, True)}
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all matrices as nn.Linear does; scales are 1."""
        for name, parameter in self.named_parameters():
            if name == "hidden_scale":
                nn.init.ones_(parameter)
            else:
                draw_linear(parameter, parameter.shape[-1])

    @property
    def stochastic(self) -> bool:
        """Whether a second expert is drawn, in training and outside of it, as the authors' code does."""
        return self.spec.top_k == 2 and self.spec.second == "random"

    @property
    def choices(self) -> int:
        """k."""
        return self.spec.top_k

    def routing_directions(self) -> torch.Tensor | None:
        """The router's rows, (E, p)."""
        return self.router.detach()

    def _compute(self, x: torch.Tensor, generator: torch.Generator | None, ids: torch.Tensor | None) -> Outcome:
        logits = router_logits(x, self.router, self.backend)
        share, chosen = self._choose(logits)
        decisions = {"chosen": chosen}
        decisions |= self._ask(share.detach(), chosen, generator)
        decisions |= self._place(logits.detach(), share.detach(), decisions["asked"])
        scaled = self.spec.multiplicative_bias
        weight_out = self.weight_out * self.hidden_scale.unsqueeze(1) if scaled else self.weight_out
        out = expert_feedforward(x, self.weight_in, weight_out, decisions["expert"], share, ACTIVATION, self.backend)
        if self.spec.dense_beside:
            out = out + self._dense(x)
        return Outcome(out, decisions, {"logits": logits})

    def _choose(self, logits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Shares and experts of the k best: (N, k) each.

        Of two, p_i / (p_1 + p_2) is the softmax of their logits alone.
        """
        if self.spec.top_k == 1:
            return logits.softmax(1).topk(1)
        best, chosen = logits.topk(2)
        return best.softmax(1), chosen

    def _ask(self, share: torch.Tensor, chosen: torch.Tensor, generator: torch.Generator | None) -> Decisions:
        """Leave out second experts by their rule, which no first one fails: its share is at least a half.

        A share that is not a number is not left out, so that it reaches the output.
        """
        if self.spec.top_k == 1 or self.spec.second == "always":
            return {"asked": chosen}
        if self.spec.second == "threshold":
            return {"asked": chosen.masked_fill(share <= THRESHOLD, -1)}
        draw = share.new_empty(share.shape[0]).uniform_(generator=generator)
        return {"asked": chosen.masked_fill(draw.unsqueeze(1) >= share / THRESHOLD, -1), "draw": draw}

    def _place(self, logits: torch.Tensor, share: torch.Tensor, asked: torch.Tensor) -> Decisions:
        """Give slots out, in the order of choices and, among first or second ones, of tokens or of their turns."""
        tokens = asked.shape[0]
        numerator, denominator = self._slots_per_token[self.training]
        capacity = min(-(-tokens * numerator // denominator), MOST_SLOTS)
        decisions = {"expert": asked, "capacity": asked.new_full((tokens,), capacity)}
        if not torch.compiler.is_compiling() and tokens <= capacity:
            return decisions
        if self.spec.prioritised:
            best = share[:, 0] if self.spec.top_k == 1 else logits.softmax(1).amax(1)
            queue, decisions["turn"] = turns(best)
            ranks = slot_ranks(asked[queue])[decisions["turn"]]
        else:
            ranks = slot_ranks(asked)
        decisions["expert"] = asked.masked_fill(ranks >= capacity, -1)
        return decisions

    def _dense(self, x: torch.Tensor) -> torch.Tensor:
        gate, value = linear(x, self.dense_in).chunk(2, 1)
        return linear(gelu(gate) * value, self.dense_out)

    def visits(self, decisions: Decisions) -> Visits:
        """Distinct experts that got a token, slots that were taken, and choices that found none."""
        asked, expert = decisions["asked"], decisions["expert"]
        taken = expert[expert >= 0]
        counts = {
            "experts": len(torch.unique(taken)),
            "assignments": len(taken),
            "dropped": int((asked >= 0).sum()) - len(taken),
        }
        return Visits(len(expert), counts)

    def dropped_tokens(self, decisions: Decisions) -> int:
        """Tokens that no expert had a slot for; ``dropped`` of ``visits`` counts choices, of which a token has k."""
        return int((decisions["expert"] < 0).all(1).sum())

    def losses(self, outcome: Outcome) -> dict[str, torch.Tensor]:
        """``z``, the mean square of the logits' logsumexp, and ``balance``, E Σ f_i P_i; both unweighted."""
        logits = outcome.kept["logits"]
        return {"z": z_loss(logits), "balance": balance_loss(logits, outcome.decisions["chosen"][:, 0])}
