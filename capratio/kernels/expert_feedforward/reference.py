"""expert_feedforward in plain torch: assignments sorted by expert, one pair of products for each visited expert."""

from collections.abc import Iterator

import torch

from capratio.kernels.expert_feedforward.activations import activate, activation_gradient
from capratio.kernels.expert_feedforward.expert_check import check_experts
from capratio.kernels.precision import add_rows, multiply_into, product_dtype
from capratio.kernels.routing import group_by_key


def expert_feedforward(
    x: torch.Tensor,
    weight_in: torch.Tensor,
    weight_out: torch.Tensor,
    expert: torch.Tensor,
    share: torch.Tensor,
    activation: str,
    keep: bool,
) -> tuple[torch.Tensor, torch.Tensor]:
    """y_n = sum over j of share[n, j] W_out[e] act(W_in[e] x_n) with e = expert[n, j], and every W_in[e] x_n if kept.

    (N, p), (E, m, p), (E, q, h), (N, k), (N, k) -> (N, q), and (N k, m) in the order of (n, j), or (0, m).
    """
    wide = product_dtype(x)
    inputs, factors = x.to(wide), share.to(wide).reshape(-1, 1)
    out = inputs.new_zeros(len(x), weight_out.shape[1])
    kept = inputs.new_zeros(expert.numel() if keep else 0, weight_in.shape[1])
    for row, places in _visits(expert, len(weight_in)):
        tokens = places // expert.shape[1]
        before = inputs[tokens] @ weight_in[row].to(wide).t()
        outputs = activate(before, activation) @ weight_out[row].to(wide).t()
        add_rows(out, tokens, factors[places] * outputs)
        if keep:
            kept[places] = before
    return out.to(x.dtype), kept


def expert_feedforward_gradients(
    grad: torch.Tensor,
    kept: torch.Tensor,
    x: torch.Tensor,
    weight_in: torch.Tensor,
    weight_out: torch.Tensor,
    expert: torch.Tensor,
    share: torch.Tensor,
    activation: str,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """The gradients to x, weight_in, weight_out and share: (N, q), (N k, m), and as expert_feedforward."""
    wide = product_dtype(x)
    inputs, incoming, factors = x.to(wide), grad.to(wide), share.to(wide).reshape(-1, 1)
    to_x, (to_in, to_out) = torch.zeros_like(inputs), (torch.zeros_like(table) for table in (weight_in, weight_out))
    to_share = share.new_zeros(expert.numel())
    for row, places in _visits(expert, len(weight_in)):
        tokens = places // expert.shape[1]
        to_hidden = incoming[tokens] @ weight_out[row].to(wide)
        hidden, to_before = activation_gradient(factors[places] * to_hidden, kept[places], activation)
        to_share[places] = (hidden * to_hidden).sum(1).to(share.dtype)
        add_rows(to_x, tokens, to_before @ weight_in[row].to(wide))
        multiply_into(to_in[row], to_before.t(), inputs[tokens])
        multiply_into(to_out[row], (factors[places] * incoming[tokens]).t(), hidden)
    return to_x.to(x.dtype), to_in, to_out, to_share.view_as(share)


def _visits(expert: torch.Tensor, experts: int) -> Iterator[tuple[int, torch.Tensor]]:
    """Each visited expert and the places n k + j of its assignments, ascending.

    Raises InputError for an expert that is none of -1..E - 1.
    """
    check_experts(expert, experts)
    flat = expert.reshape(-1)
    groups = group_by_key(flat)
    order = flat.new_zeros(1) if groups.order is None else groups.order
    for row, places in groups:
        if row >= 0:
            yield row, order[places]
