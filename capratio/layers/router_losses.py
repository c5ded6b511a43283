"""What a router adds to the training loss: one term that keeps logits small, one that spreads tokens over experts."""

import torch


def z_loss(logits: torch.Tensor) -> torch.Tensor:
    """mean over tokens of (log Σ_i exp(logits_i))², a scalar; 0 of no tokens.

    Args: logits: (N, E), float32 or wider.

    Source: Zoph et al. 2022, arXiv 2202.08906, which weights it by 1e-3.
    """
    return logits.logsumexp(1).square().sum() / max(logits.shape[0], 1)


def balance_loss(logits: torch.Tensor, first: torch.Tensor) -> torch.Tensor:
    """E Σ_i f_i P_i, a scalar: f_i the share of tokens whose best expert is i, P_i the mean probability of i.

    1 where tokens and probabilities are spread evenly, E where all go to one expert; 0 of no tokens. The gradient
    reaches P alone.

    Args: logits: (N, E). first: int64 (N,), each token's best expert.

    Source: Zoph et al. 2022, arXiv 2202.08906, which weights it by 1e-2.
    """
    tokens, experts = max(logits.shape[0], 1), logits.shape[1]
    chosen = first.unsqueeze(1) == torch.arange(experts, device=first.device)
    share = chosen.sum(0).to(logits.dtype) / tokens
    return experts * (share * logits.softmax(1).sum(0)).sum() / tokens
