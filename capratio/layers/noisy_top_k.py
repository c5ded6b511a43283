"""Noisy top-k gating: the experts with the largest noisy logits, and a softmax over these."""

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.functional import softplus

from capratio.kernels.backends import AUTO
from capratio.kernels.precision import sum_dtype
from capratio.kernels.router_logits import router_logits
from capratio.layers.balance_losses import gate_sums, load, squared_variation
from capratio.layers.expert_gate import ExpertGate, Named, Routed
from capratio.layers.initialization import new_table


@dataclass(frozen=True, slots=True)
class Chosen:
    """The entries of each row that a gate keeps.

    entry: int64 (n, k), by falling score. share: (n, k), the softmax of their scores. kept: by name, what losses need:
    ``logits``, and with noise its ``scale`` and the ``noisy`` logits, each (n, E).
    """

    entry: torch.Tensor
    share: torch.Tensor
    kept: dict[str, torch.Tensor]


def choose(logits: torch.Tensor, top_k: int) -> Chosen:
    """Keep the k largest logits of each row, the lower index first where two are equal."""
    return Chosen(*_largest(logits, top_k), {"logits": logits})


def choose_noisy(logits: torch.Tensor, spread: torch.Tensor, noise: torch.Tensor, top_k: int) -> Chosen:
    """Keep the k largest of H = logits + noise · softplus(spread) in each row.

    Args: logits, spread, noise: (n, E), the last one drawn from N(0, 1).
    """
    scale = softplus(spread)
    noisy = logits + noise * scale
    return Chosen(*_largest(noisy, top_k), {"logits": logits, "scale": scale, "noisy": noisy})


def _largest(scores: torch.Tensor, top_k: int) -> tuple[torch.Tensor, torch.Tensor]:
    # k times the first of the largest: topk may take any of equal ones, and a stable sort of 2048 entries takes 30
    # times as long as the product that made them.
    left, entries = scores.detach(), []
    for kept in range(top_k):
        entries.append(left.argmax(1, keepdim=True))
        if kept + 1 < top_k:
            left = left.scatter(1, entries[kept], -torch.inf)
    entry = torch.cat(entries, 1)
    return entry, torch.softmax(scores.gather(1, entry), 1)


class NoisyTopKGate(ExpertGate):
    """G(x) = softmax(the k largest of H), H = x W_g + N(0, 1) · softplus(x W_noise).

    ``weight``: W_g^T, (E, p). ``noise_weight``: W_noise^T, (E, p). Both begin at zero, so that training begins with
    noise alone. Noise is drawn in training only (our reading); without it equal logits go to the lower index.

    Decisions: ``expert`` (N, k), by falling score; in training ``noise`` (N, E). Losses: ``importance``, CV²(Σ_x G(x)),
    and in training ``load``, CV²(Load).

    Source: Shazeer et al. 2017, arXiv 1701.06538, section 2.1, section 4 and appendix A.
    """

    def __init__(
        self,
        in_features: int,
        experts: int,
        top_k: int,
        backend: str = AUTO,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.top_k = top_k
        self.backend = backend
        self.weight = new_table((experts, in_features), device, dtype)
        self.noise_weight = new_table((experts, in_features), device, dtype)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set both matrices to zero."""
        nn.init.zeros_(self.weight)
        nn.init.zeros_(self.noise_weight)

    @property
    def stochastic(self) -> bool:
        """In training."""
        return self.training

    def draw(self, x: torch.Tensor, generator: torch.Generator | None) -> torch.Tensor | None:
        """The noise of (N, p) rows, (N, E), or None in evaluation."""
        return draw_noise(x, len(self.weight), generator) if self.training else None

    def choose(self, x: torch.Tensor, noise: torch.Tensor | None) -> Chosen:
        """The entries that (N, p) rows keep with this noise."""
        logits = router_logits(x, self.weight, self.backend)
        if noise is None:
            return choose(logits, self.top_k)
        return choose_noisy(logits, router_logits(x, self.noise_weight, self.backend), noise, self.top_k)

    def forward(self, x: torch.Tensor, generator: torch.Generator | None) -> Routed:
        """The k experts of (N, p) rows. Args: as ExpertGate."""
        noise = self.draw(x, generator)
        chosen = self.choose(x, noise)
        decisions = {"expert": chosen.entry} if noise is None else {"expert": chosen.entry, "noise": noise}
        return Routed(chosen.entry, chosen.share, decisions, {"share": chosen.share, **chosen.kept})

    def losses(self, decisions: Named, kept: Named) -> dict[str, torch.Tensor]:
        """``importance``, and ``load`` where noise was drawn. Args: as ExpertGate."""
        found = {"importance": squared_variation(gate_sums(decisions["expert"], kept["share"], len(self.weight)))}
        if "noisy" in kept:
            found["load"] = squared_variation(load(kept["logits"], kept["noisy"], kept["scale"], self.top_k))
        return found


def draw_noise(x: torch.Tensor, entries: int, generator: torch.Generator | None) -> torch.Tensor:
    """N(0, 1) for each entry of (N, p) rows, (N, entries), in the dtype of their logits."""
    return torch.randn(x.shape[0], entries, generator=generator, device=x.device, dtype=sum_dtype(x.dtype))
