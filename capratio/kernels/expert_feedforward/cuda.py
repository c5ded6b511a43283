"""expert_feedforward in Triton: grouped products of slots sorted by expert, and a fused activation between them.

A slot is a place n k + j of the experts (N, k). Slots without an expert are sorted behind all others under a key that
no table has a row for; no product reads or writes them, so that theirs are the zeros that outputs begin with.
"""

import torch

from capratio.kernels.cuda.grouped_triton import add_products
from capratio.kernels.cuda.outer_triton import sum_outer_products
from capratio.kernels.cuda.token_tiles import TokenOrder
from capratio.kernels.expert_feedforward.activation_triton import activate, pass_back

# So far beyond the experts that no tile of its slots has a place.
_NO_EXPERT = 2**40


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

    Raises InputError for a dtype other than float32, bfloat16 and float16; so do the gradients.
    """
    slots = _sort_slots(expert, len(weight_in))
    before = _multiply(_to_slots(x, expert), weight_in, slots)
    outputs = _multiply(activate(before, weight_out.shape[2], activation), weight_out, slots)
    factors = _shares(share, expert).to(torch.float32)
    y = (outputs.view(*expert.shape, weight_out.shape[1]) * factors.unsqueeze(2)).sum(1)
    return y.to(x.dtype), before if keep else before.new_empty(0, before.shape[1])


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
    slots = _sort_slots(expert, len(weight_in))
    incoming, inputs = _to_slots(grad, expert), _to_slots(x, expert)
    to_units = _multiply(incoming, weight_out.transpose(1, 2), slots)
    factors = _shares(share, expert).reshape(-1).contiguous()
    to_before, units, to_share = pass_back(kept, to_units, factors, activation)
    to_inputs = _multiply(to_before, weight_in.transpose(1, 2), slots)
    to_x = to_inputs.view(*expert.shape, x.shape[1]).sum(1, dtype=torch.float32).to(x.dtype)
    to_in = _sum_outer(to_before, inputs, slots, weight_in)
    to_out = _sum_outer(incoming, units, slots, weight_out)
    return to_x, to_in, to_out, to_share.view_as(share).to(share.dtype)


def _sort_slots(expert: torch.Tensor, experts: int) -> TokenOrder:
    """The slots by expert, those without one last, and behind them as many places of none as make more than experts.

    Of fewer places than groups every tile has a slot, whatever its key.
    """
    flat = expert.reshape(-1)
    keys = flat.where((flat >= 0) & (flat < experts), _NO_EXPERT)
    keys, order = torch.sort(keys, stable=True)
    return TokenOrder(
        torch.cat([order, order.new_zeros(experts + 1)]), torch.cat([keys, keys.new_full((experts + 1,), _NO_EXPERT)])
    )


def _to_slots(rows: torch.Tensor, expert: torch.Tensor) -> torch.Tensor:
    """Each token's row for each of its slots: (N, i) -> (N k, i)."""
    return rows.repeat_interleave(expert.shape[1], 0)


def _shares(share: torch.Tensor, expert: torch.Tensor) -> torch.Tensor:
    """The shares, zero where there is no expert: what stands there, infinity too, is nobody's."""
    return share.masked_fill(expert < 0, 0)


def _multiply(rows: torch.Tensor, matrices: torch.Tensor, slots: TokenOrder) -> torch.Tensor:
    """matrices[e] rows[s] of every slot s with an expert e, zero of the others: (S, i), (E, o, i) -> (S, o)."""
    out = rows.new_zeros(len(rows), matrices.shape[1])
    add_products(out, rows, matrices, slots)
    return out


def _sum_outer(incoming: torch.Tensor, inputs: torch.Tensor, slots: TokenOrder, table: torch.Tensor) -> torch.Tensor:
    """The gradient of a table (E, o, i): the sum of each expert's outer products of (S, o) and (S, i)."""
    total = incoming.new_empty(table.shape)
    offsets = slots.offsets(len(table))
    sum_outer_products(total, incoming, inputs, slots.order, offsets[:-1], offsets[1:], len(table))
    return total
