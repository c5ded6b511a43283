"""Losses that make a mixture use all of its experts: how unevenly gates, or tokens, are spread over them."""

import torch


def squared_variation(values: torch.Tensor) -> torch.Tensor:
    """CV² = variance / mean² of (E,) values, with the population variance; 0 where the mean is 0.

    Source: Shazeer et al. 2017, arXiv 1701.06538, section 4; the population variance is our reading.
    """
    mean = values.mean()
    smallest = torch.finfo(values.dtype).tiny
    return (values - mean).square().mean() / mean.square().clamp_min(smallest)


def gate_sums(expert: torch.Tensor, share: torch.Tensor, experts: int) -> torch.Tensor:
    """Importance, Σ_x G(x): (N, k) experts without -1, (N, k) shares -> (E,)."""
    # Not index_add, which adds in any order on a GPU.
    return share.new_zeros(experts).index_put((expert.reshape(-1),), share.reshape(-1), accumulate=True)


def load(logits: torch.Tensor, noisy: torch.Tensor, scale: torch.Tensor, top_k: int) -> torch.Tensor:
    """Load, the expected number of tokens of each entry, Σ_x P(x, i): (N, E) -> (E,). Args: as keep_probability."""
    return keep_probability(logits, noisy, scale, top_k).sum(0)


def keep_probability(logits: torch.Tensor, noisy: torch.Tensor, scale: torch.Tensor, top_k: int) -> torch.Tensor:
    """P(x, i), with which a new draw of entry i's noise alone would keep it among the k largest.

    P(x, i) = Φ((logits_i − kth_excluding(H, k, i)) / scale_i), where kth_excluding is the k-th largest of the noisy
    logits H without H_i. 1, without a gradient, where all entries are kept.

    Args: logits: x W_g. noisy: H. scale: softplus(x W_noise). All (n, E). top_k k: entries that are kept.

    Returns (n, E), differentiable in all three.

    Source: Shazeer et al. 2017, arXiv 1701.06538, appendix A.
    """
    if top_k == noisy.shape[1]:
        return torch.ones_like(noisy)
    # A softplus that underflows, where scores tie, would divide 0 by 0.
    smallest = torch.finfo(scale.dtype).tiny
    largest = noisy.topk(top_k + 1, dim=1).values
    last, next_one = largest[:, top_k - 1 : top_k], largest[:, top_k:]
    kth_excluding = torch.where(noisy > next_one, next_one, last)
    probability: torch.Tensor = torch.special.ndtr((logits - kth_excluding) / scale.clamp_min(smallest))
    return probability


def hierarchical_load(group_probability: torch.Tensor, probability: torch.Tensor, group: torch.Tensor) -> torch.Tensor:
    """Load_ij = Load_i · Load_j of X_i / |X_i|, where X_i are the tokens that keep group i; 0 where there are none.

    Args: group_probability: P of the first gate, (N, G). probability: P of the kept groups' gates, (N, K, M). group:
    int64 (N, K), the groups that are kept.

    Returns (G M,): of each expert, in the order of groups.

    Source: Shazeer et al. 2017, arXiv 1701.06538, appendix B.
    """
    groups, members = group_probability.shape[1], probability.shape[2]
    flat = group.reshape(-1)
    within = probability.new_zeros(groups, members)
    within = within.index_put((flat,), probability.reshape(-1, members), accumulate=True)
    tokens = torch.bincount(flat, minlength=groups).clamp_min(1).unsqueeze(1)
    return (group_probability.sum(0).unsqueeze(1) * within / tokens).reshape(-1)
