"""A policy that gives each block of units a probability of being computed, from what the block's layer reads."""

from math import log

import torch
from torch import nn

from capratio.kernels.router_logits import router_logits
from capratio.layers.initialization import draw_linear, new_table


class BernoulliPolicy(nn.Module):
    """Independent coins for B blocks: p = sigmoid(Z h + d), u_j ~ Bernoulli(p_j).

    ``weight`` Z: (B, features), drawn as nn.Linear draws. ``bias``: (B,), begins at 0; d is logit(rate) + bias, so that
    a new policy, or one whose weights decay, keeps about the target rate of blocks alive. Both are our choice.

    Args: features: of the policy's input. blocks: coins. rate: the target rate τ, between 0 and 1.

    Source: Bengio, Bacon, Pineau & Precup 2015, arXiv 1511.06297.
    """

    def __init__(
        self,
        features: int,
        blocks: int,
        rate: float,
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.rate = rate
        self.weight = new_table((blocks, features), device, dtype)
        self.bias = new_table((blocks,), device, dtype)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the weight, and begin at the target rate."""
        draw_linear(self.weight, self.weight.shape[1])
        nn.init.zeros_(self.bias)

    def forward(self, h: torch.Tensor) -> torch.Tensor:
        """The logits Z h + d of the probabilities: (N, features) -> (N, B), float32 for half precision.

        The input is taken as a constant: what trains the policy does not reach the layers that it reads, our reading.
        """
        logits = router_logits(h.detach(), self.weight)
        return logits + (self.bias.to(logits.dtype) + log(self.rate / (1 - self.rate)))

    def extra_repr(self) -> str:
        """The sizes and the target rate."""
        blocks, features = self.weight.shape
        return f"features={features}, blocks={blocks}, rate={self.rate}"


def flip_coins(logits: torch.Tensor, uniform: torch.Tensor) -> torch.Tensor:
    """Which blocks live, [uniform < sigmoid(logits)], where uniform draws lie in [0, 1): bool, without a gradient."""
    return uniform < torch.sigmoid(logits.detach())
