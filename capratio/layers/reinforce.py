"""Gradients of an expected cost through random coins, by the likelihood ratio, and baselines that lower their variance.

A token i has a cost c_i and coins u_ij ~ Bernoulli(σ(a_ij)). Then the gradient of E[c] is
E[Σ_j (c_i − b_j) ∇ log π(u_ij)], for any b that does not depend on the coins, with
log π(u) = log[σ u + (1 − σ)(1 − u)] and so ∂ log π / ∂a = u − σ.

Source: Bengio, Bacon, Pineau & Precup 2015, arXiv 1511.06297, who use no baseline; the baselines are those
of Bengio, Léonard & Courville 2013, arXiv 1308.3432.
"""

from abc import ABC, abstractmethod

import torch
from torch.nn import functional

from capratio.errors import InputError


def log_probability(logits: torch.Tensor, live: torch.Tensor) -> torch.Tensor:
    """log π of each coin, log σ(a) where it is live and log σ(−a) where not: of logits (N, ...), bool (N, ...)."""
    return functional.logsigmoid(torch.where(live, logits, -logits))


class Baseline(ABC):
    """A running estimate b = E[w c] / E[w] of a cost, with weights w that a subclass gives.

    Both means decay alike, so that they need no correction for how they began. Before the first update b is 0. To keep
    the estimator unbiased, use it for a batch's surrogate first and update it with that batch afterwards.

    Args: decay: of both means, from 0 (the last batch alone) to below 1.

    Raises InputError for another decay.
    """

    def __init__(self, decay: float = 0.99) -> None:
        if not 0 <= decay < 1:
            raise InputError(f"a baseline was given decay={decay}; give a number from 0 to below 1.")
        self.decay = decay
        self._weighted_cost: torch.Tensor | None = None
        self._weight: torch.Tensor | None = None

    @abstractmethod
    def _weights(self, logits: torch.Tensor, live: torch.Tensor) -> torch.Tensor:
        """w of each coin, of the shape of the logits, or broadcast against it."""

    def value(self) -> torch.Tensor | float:
        """b: one for each coin of a token, or one for all; 0 where no cost was seen."""
        if self._weighted_cost is None or self._weight is None:
            return 0.0
        return torch.where(self._weight > 0, self._weighted_cost / self._weight, 0.0)

    def update(self, logits: torch.Tensor, live: torch.Tensor, cost: torch.Tensor) -> None:
        """See a batch of N tokens. Args: logits, live: (N, ...). cost: (N,). A batch of no tokens changes nothing."""
        if not len(cost):
            return
        weights = self._weights(logits.detach(), live)
        weighted = weights * _beside(cost.detach(), logits)
        self._weighted_cost = self._mixed(self._weighted_cost, weighted.mean(0))
        self._weight = self._mixed(self._weight, weights.mean(0))

    def _mixed(self, mean: torch.Tensor | None, batch: torch.Tensor) -> torch.Tensor:
        return (1 - self.decay) * batch if mean is None else mean.lerp(batch, 1 - self.decay)


class MeanBaseline(Baseline):
    """The running mean of the cost, E[c], one for all coins."""

    def _weights(self, logits: torch.Tensor, live: torch.Tensor) -> torch.Tensor:
        return logits.new_ones(len(logits), *[1] * (logits.dim() - 1))


class VarianceOptimalBaseline(Baseline):
    """E[(u − σ)² c] / E[(u − σ)²], one for each coin: of all constants it leaves the least variance.

    Source: Bengio, Léonard & Courville 2013, arXiv 1308.3432.
    """

    def _weights(self, logits: torch.Tensor, live: torch.Tensor) -> torch.Tensor:
        return (live.to(logits.dtype) - torch.sigmoid(logits)).square()


def reinforce_surrogate(
    logits: torch.Tensor, live: torch.Tensor, cost: torch.Tensor, baseline: Baseline | None = None
) -> torch.Tensor:
    """A scalar whose gradient to the logits is mean_i Σ_j (c_i − b_j) ∇ log π(u_ij); its value means nothing.

    Args: logits, live: (N, ...), of N tokens' coins. cost: (N,), taken as a constant. baseline: None for b = 0, as in
    the paper; it is read and not updated.

    Raises InputError where there is not one cost for each token.
    """
    if cost.shape != logits.shape[:1]:
        raise InputError(
            f"cost has shape {tuple(cost.shape)} for {len(logits)} tokens; give one cost for each token, of shape "
            f"({len(logits)},), such as cross_entropy(..., reduction='none')."
        )
    gain = _beside(cost.detach(), logits) - (0.0 if baseline is None else baseline.value())
    return (gain * log_probability(logits, live)).sum() / max(len(cost), 1)


def _beside(cost: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
    """(N,) -> (N, 1, ...), to broadcast against the logits, in their dtype."""
    return cost.to(logits.dtype).view(-1, *[1] * (logits.dim() - 1))
