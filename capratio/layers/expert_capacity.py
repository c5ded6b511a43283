"""Which choice of an expert gets one of its slots: ranks among the choices of the same expert, first choices first."""

import torch


def slot_ranks(asked: torch.Tensor) -> torch.Tensor:
    """How many choices of the same expert come before each choice; all first choices, token by token, come first.

    By one stable sort of the choices, so that a repetition gives the same ranks, on every device.

    Args: asked: int64 (N, k), the experts, -1 where none is asked; its ranks are of no use.

    Returns int64 (N, k).
    """
    key = asked.t().reshape(-1)
    ascending, order = torch.sort(key, stable=True)
    place = torch.arange(key.shape[0], device=key.device)
    ranks = torch.empty_like(key)
    ranks[order] = place - torch.searchsorted(ascending, ascending)
    return ranks.view(asked.shape[1], asked.shape[0]).t()


def turns(priority: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Whose turn comes when, the largest priority first, and of equal ones the first token.

    Args: priority: (N,).

    Returns int64 (N,) each: the tokens in the order of their turns, and each token's turn.
    """
    queue = torch.argsort(priority, descending=True, stable=True)
    turn = torch.empty_like(queue)
    turn[queue] = torch.arange(queue.shape[0], device=queue.device)
    return queue, turn
