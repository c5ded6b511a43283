"""expert_feedforward by torch's own grouped product, a peer: slots sorted by expert, two calls over the whole tables.

A slot is a place n k + j of the experts (N, k). Those without an expert are sorted behind all groups, where torch
writes nothing: what lies there is taken for zeros.
"""

from typing import NamedTuple

import torch
from torch.nn.functional import grouped_mm

from capratio.kernels.expert_feedforward.activations import activate, activation_gradient
from capratio.kernels.expert_feedforward.expert_check import check_experts
from capratio.kernels.library_groups import check_widths, sort_groups
from capratio.kernels.precision import add_rows, product_dtype, sum_dtype


class _Sorted(NamedTuple):
    """The slot at each sorted place, its token, whether it has no expert, (S,), and where experts end, (E,) int32."""

    order: torch.Tensor
    tokens: torch.Tensor
    dropped: torch.Tensor
    ends: torch.Tensor

    def multiply(self, rows: torch.Tensor, matrices: torch.Tensor) -> torch.Tensor:
        """rows matrices[e] of each place: (S, i), (E, i, o) -> (S, o)."""
        return grouped_mm(rows, matrices, offs=self.ends).masked_fill_(self.dropped.unsqueeze(1), 0)


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

    (N, p), (E, m, p), (E, q, h), (N, k), (N, k) -> (N, q), and (N k, m) sorted by expert, or (0, m).

    Raises InputError for a dtype, a width or a number of experts that torch's product does not take; so do the
    gradients.
    """
    check_widths(x, *weight_in.shape[1:], *weight_out.shape[1:])
    slots = _sort(expert, len(weight_in))
    before = slots.multiply(x.index_select(0, slots.tokens), weight_in.transpose(1, 2))
    outputs = slots.multiply(activate(before, activation), weight_out.transpose(1, 2))
    out = outputs.new_zeros(len(x), outputs.shape[1], dtype=sum_dtype(x.dtype))
    add_rows(out, slots.tokens, outputs * _factors(share, slots))
    return out.to(x.dtype), (before if keep else before[:0]).to(product_dtype(x))


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
    check_widths(x, *weight_in.shape[1:], *weight_out.shape[1:])
    slots = _sort(expert, len(weight_in))
    incoming, inputs = (rows.index_select(0, slots.tokens) for rows in (grad, x))
    to_units, factors = slots.multiply(incoming, weight_out), _factors(share, slots)
    units, to_before = activation_gradient(factors * to_units, kept, activation)
    to_share = share.new_empty(share.numel()).index_copy_(0, slots.order, (units * to_units).sum(1).to(share.dtype))
    to_before, units = to_before.to(x.dtype), (factors * units).to(x.dtype)
    to_x = inputs.new_zeros(x.shape, dtype=sum_dtype(x.dtype))
    add_rows(to_x, slots.tokens, slots.multiply(to_before, weight_in).to(to_x.dtype))
    to_in, to_out = (
        grouped_mm(left.t(), right, offs=slots.ends) for left, right in ((to_before, inputs), (incoming, units))
    )
    return to_x.to(x.dtype), to_in, to_out, to_share.view_as(share)


def _sort(expert: torch.Tensor, experts: int) -> _Sorted:
    if not expert.is_cuda:
        check_experts(expert, experts)
    flat = expert.reshape(-1)
    keys, order, ends = sort_groups(flat.where(flat >= 0, experts), experts)
    return _Sorted(order, order // max(expert.shape[1], 1), keys >= experts, ends)


def _factors(share: torch.Tensor, slots: _Sorted) -> torch.Tensor:
    """The share of each place, in float32 where that is a half type, and zero where there is no expert: (S, 1)."""
    factors = share.reshape(-1).to(sum_dtype(share.dtype)).index_select(0, slots.order)
    return factors.masked_fill_(slots.dropped, 0).unsqueeze(1)
