"""Hierarchical gating: a noisy gate keeps groups of experts, and each kept group's own noisy gate keeps experts."""

import torch
from torch import nn

from capratio.kernels.backends import AUTO
from capratio.kernels.router_logits import group_router_logits
from capratio.layers.balance_losses import gate_sums, hierarchical_load, keep_probability, squared_variation
from capratio.layers.expert_gate import ExpertGate, Named, Routed
from capratio.layers.initialization import new_table
from capratio.layers.noisy_top_k import Chosen, NoisyTopKGate, choose, choose_noisy, draw_noise


class HierarchicalGate(ExpertGate):
    """y = Σ_i Σ_j Gp(x)_i G_i(x)_j E_ij(x): the share of an expert is that of its group times its own in the group.

    The first gate Gp keeps K = min(k, G) of G groups, and the gate G_i of each of them k of its M = E / G experts (that
    both levels keep top_k is our reading). Gates of other groups are not computed. Expert ij is number i M + j.

    ``first``: the noisy top-k gate over groups. ``weight``, ``noise_weight``: of the groups' gates, (G, M, p), zero to
    begin with. With one group this is the noisy top-k gate.

    Decisions: ``expert`` (N, K k), ``group`` (N, K); in training ``noise`` (N, K, M) and ``group_noise`` (N, G).
    Losses: ``importance``, CV²(Σ_x Gp_i G_ij), and in training ``load``, CV²(Load_ij).

    Source: Shazeer et al. 2017, arXiv 1701.06538, appendix B.
    """

    def __init__(
        self,
        in_features: int,
        experts: int,
        groups: int,
        top_k: int,
        backend: str = AUTO,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.top_k = top_k
        self.backend = backend
        self.first = NoisyTopKGate(in_features, groups, min(top_k, groups), backend, device, dtype)
        self.weight = new_table((groups, experts // groups, in_features), device, dtype)
        self.noise_weight = new_table((groups, experts // groups, in_features), device, dtype)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set all matrices to zero."""
        self.first.reset_parameters()
        nn.init.zeros_(self.weight)
        nn.init.zeros_(self.noise_weight)

    @property
    def stochastic(self) -> bool:
        """In training."""
        return self.training

    def forward(self, x: torch.Tensor, generator: torch.Generator | None) -> Routed:
        """The K k experts of (N, p) rows. Args: as ExpertGate."""
        kept, members = self.first.top_k, self.weight.shape[1]
        rows = x.unsqueeze(1).expand(-1, kept, -1).reshape(-1, x.shape[1])
        # The groups' noise is drawn before the first gate's, so that one group draws what a flat gate draws.
        noise = draw_noise(rows, members, generator) if self.training else None
        group_noise = self.first.draw(x, generator)
        first = self.first.choose(x, group_noise)
        group = first.entry.reshape(-1)
        second = self._choose(rows, group, noise)
        share = (first.share.reshape(-1, 1) * second.share).view(-1, kept * self.top_k)
        expert = (group.unsqueeze(1) * members + second.entry).view(-1, kept * self.top_k)
        decisions = {"expert": expert, "group": first.entry}
        if noise is not None and group_noise is not None:
            decisions |= {"noise": noise.view(-1, kept, members), "group_noise": group_noise}
        of_groups = {f"group_{name}": value for name, value in first.kept.items()}
        return Routed(expert, share, decisions, {"share": share, **second.kept, **of_groups})

    def losses(self, decisions: Named, kept: Named) -> dict[str, torch.Tensor]:
        """``importance``, and ``load`` where noise was drawn. Args: as ExpertGate."""
        groups, members = self.weight.shape[:2]
        importance = gate_sums(decisions["expert"], kept["share"], groups * members)
        found = {"importance": squared_variation(importance)}
        if "noisy" in kept:
            group = decisions["group"]
            first = keep_probability(kept["group_logits"], kept["group_noisy"], kept["group_scale"], self.first.top_k)
            second = keep_probability(kept["logits"], kept["noisy"], kept["scale"], self.top_k)
            load = hierarchical_load(first, second.view(*group.shape, members), group)
            found["load"] = squared_variation(load)
        return found

    def _choose(self, rows: torch.Tensor, group: torch.Tensor, noise: torch.Tensor | None) -> Chosen:
        """The experts that each row keeps in its group."""
        logits = group_router_logits(rows, self.weight, group, self.backend)
        if noise is None:
            return choose(logits, self.top_k)
        spread = group_router_logits(rows, self.noise_weight, group, self.backend)
        return choose_noisy(logits, spread, noise, self.top_k)
