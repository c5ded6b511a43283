"""Strictly balanced gating: in a training batch every expert keeps the same number of tokens."""

from math import exp, sqrt
from statistics import NormalDist

import torch

from capratio.kernels.backends import AUTO
from capratio.kernels.router_logits import router_logits
from capratio.layers.expert_gate import ExpertGate, Named, Routed
from capratio.layers.initialization import draw_linear, new_table


class BalancedGate(ExpertGate):
    """G(x)_i = s_i M_i / Σ_j s_j M_j, with scores s = softmax(x W_g) and a mask M.

    In training each expert keeps its m = k N / E best tokens of the batch (rounded up where that is no integer, our
    reading), so that a token may have any number of experts, also none, and then its output is zero. Evaluation cannot
    look at a batch: expert i keeps the tokens with s_i above a threshold T_i, which the loss ``batchwise`` teaches.

    ``weight``: W_g^T, (E, p), drawn as nn.Linear draws, since scores that begin equal would give all experts the same
    tokens (our reading). ``threshold``: T, (E,), which begins where a token of unit variance is kept by about k
    experts (our reading). There is no noise.

    Decisions: ``expert``, (N, K) in training, where K is the most experts of a token, and (N, E) in evaluation, -1
    where a place is empty; in training ``batchwise``, bool (N,), true.

    Source: Shazeer et al. 2017, arXiv 1701.06538, appendix F.
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
        self.threshold = new_table((experts,), device, dtype)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw W_g; set T to the quantile 1 − k / E of scores whose logits are normal with the variance 1/3."""
        experts, in_features = self.weight.shape
        with torch.no_grad():
            draw_linear(self.weight, in_features)
            self.threshold.fill_(_first_threshold(experts, self.top_k))

    def tokens_of_expert(self, tokens: int) -> int:
        """m, tokens that each expert keeps of a training batch."""
        return -(-self.top_k * tokens // len(self.weight))

    def forward(self, x: torch.Tensor, generator: torch.Generator | None) -> Routed:
        """The experts of (N, p) rows. Args: as ExpertGate; nothing is drawn."""
        logits = router_logits(x, self.weight, self.backend)
        scores = torch.softmax(logits.detach(), 1)
        absent = self._beyond_best(scores) if self.training else scores <= self.threshold
        expert = torch.arange(len(self.weight), device=x.device).expand_as(absent)
        considered = logits
        if self.training and len(x):
            expert, considered, absent = _brought_together(logits, absent)
        # The softmax over the kept logits is the quotient above; where none is kept, shares are of no expert.
        share = torch.softmax(considered.masked_fill(absent, torch.finfo(logits.dtype).min), 1)
        expert = expert.masked_fill(absent, -1)
        decisions = {"expert": expert}
        if self.training:
            decisions["batchwise"] = torch.ones(x.shape[0], dtype=torch.bool, device=x.device)
        return Routed(expert, share, decisions, {"logits": logits})

    def losses(self, decisions: Named, kept: Named) -> dict[str, torch.Tensor]:
        """``batchwise``: Σ_x Σ_i (M_threshold − M_batchwise)(s_i − T_i), least where the two masks are the same.

        Masks are constants; the gradient reaches thresholds and scores, as the formula has it. Args: as ExpertGate.
        """
        scores = torch.softmax(kept["logits"], 1)
        above = scores - self.threshold.to(scores.dtype)
        batchwise = ~self._beyond_best(scores.detach())
        difference = (above.detach() > 0).to(scores.dtype) - batchwise.to(scores.dtype)
        return {"batchwise": (difference * above).sum()}

    def _beyond_best(self, scores: torch.Tensor) -> torch.Tensor:
        """Where a token is not among an expert's m best, the earlier token first where two are equal: bool (N, E)."""
        order = torch.sort(scores, dim=0, descending=True, stable=True).indices
        best = order[: self.tokens_of_expert(len(scores))]
        return torch.ones_like(scores, dtype=torch.bool).scatter(0, best, False)


def _brought_together(logits: torch.Tensor, absent: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Experts, their logits and absence, (N, K) each: a token's own experts in front, K the most that a token has.

    With all E the memory of a training step would grow with N E, and not with the tokens that experts keep.
    """
    most = int(absent.logical_not().sum(1).max())
    front = torch.sort(absent, dim=1, stable=True).indices[:, :most]
    return front, logits.gather(1, front), absent.gather(1, front)


def _first_threshold(experts: int, top_k: int) -> float:
    """The score that a share k / E of tokens exceeds, where logits l are N(0, σ²): softmax(l) ≈ exp(l − σ² / 2) / E.

    σ² = 1/3 is the variance of x . w for x ~ N(0, I) and w drawn as nn.Linear draws.
    """
    if top_k == experts:
        return 0.0
    deviation = sqrt(1 / 3)
    quantile = NormalDist().inv_cdf(1 - top_k / experts)
    return exp(deviation * quantile - deviation**2 / 2) / experts
