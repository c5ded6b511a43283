"""What keeps a policy of coins at a target rate, for every block and for every token, and its decisions apart.

σ_ij is the probability of block j for token i, τ the target rate. Probabilities come as (N, policies, blocks); the
losses of several policies are summed. A batch of no tokens has the loss 0.

Source: Bengio, Bacon, Pineau & Precup 2015, arXiv 1511.06297.
"""

import torch


def batch_rate(probability: torch.Tensor, rate: float) -> torch.Tensor:
    """L_b = Σ_j |mean_i σ_ij − τ|: each block lives for a share τ of the batch, so that none dies or is always on."""
    if not len(probability):
        return probability.sum()
    return (probability.mean(0) - rate).abs().sum()


def example_rate(probability: torch.Tensor, rate: float) -> torch.Tensor:
    """L_e = mean_i |mean_j σ_ij − τ|: each token keeps a share τ of its blocks, so that none is costly."""
    if not len(probability):
        return probability.sum()
    return (probability.mean(-1) - rate).abs().mean(0).sum()


def negative_variance(probability: torch.Tensor) -> torch.Tensor:
    """L_v = −Σ_j var_i σ_ij: a block is sure of living for some tokens and of dying for others.

    The population's variance, Σ_i (σ_ij − mean_i σ_ij)² / N, our reading: a single token has none.
    """
    if not len(probability):
        return probability.sum()
    return -probability.var(0, correction=0).sum()
