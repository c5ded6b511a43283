"""expert_feedforward on the CPU, compiled: an expert's tokens go through its whole network while a cache holds them."""

import numpy as np
import torch

from capratio.kernels.cpu.compiling import array, use_torch_threads
from capratio.kernels.cpu.huge_pages import new_table
from capratio.kernels.cpu.node_groups import NodeGroups
from capratio.kernels.expert_feedforward.assignments import add_slots, sort_slots
from capratio.kernels.expert_feedforward.curves import CODES
from capratio.kernels.expert_feedforward.expert_check import outside
from capratio.kernels.expert_feedforward.networks import run_networks
from capratio.kernels.expert_feedforward.passing_back import pass_back
from capratio.kernels.leaf_linear.few_tokens import multiply_transposed
from capratio.kernels.leaf_linear.outer import outer_products
from capratio.kernels.precision import product_dtype


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

    Raises InputError for an expert that is none of -1..E - 1.
    """
    wide = product_dtype(x)
    out = x.new_empty(len(x), weight_out.shape[1], dtype=wide)
    kept = new_table(out, expert.numel() if keep else 0, weight_in.shape[1])
    flat = expert.reshape(-1)
    use_torch_threads()
    wrong = run_networks(
        array(x.to(wide)),
        array(weight_in),
        array(weight_out),
        array(flat),
        array(share.to(wide)),
        CODES[activation],
        keep,
        array(kept),
        array(out),
    )
    if wrong >= 0:
        raise outside(int(flat[wrong]), len(weight_in))
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
    order, place, experts, begins, ends = sort_slots(array(expert.reshape(-1)), len(weight_in))
    in_order = NodeGroups(np.arange(len(order)), experts, begins, ends)
    tokens = torch.from_numpy(order // max(expert.shape[1], 1))
    incoming, inputs = (rows.detach().to(wide).index_select(0, tokens) for rows in (grad, x))
    units, to_before = (new_table(incoming, len(order), width) for width in (weight_out.shape[2], weight_in.shape[1]))
    to_slots, to_x = inputs.new_empty(inputs.shape), inputs.new_empty(x.shape)
    to_share = inputs.new_zeros(share.shape)
    factors = share.detach().to(wide)
    use_torch_threads()
    multiply_transposed(array(incoming), array(weight_out), *in_order, array(units))
    pass_back(
        array(kept),
        array(units),
        order,
        array(factors).reshape(-1),
        CODES[activation],
        array(to_before),
        array(to_share).reshape(-1),
    )
    multiply_transposed(array(to_before), array(weight_in), *in_order, array(to_slots))
    add_slots(array(to_slots), place, array(torch.ones_like(factors)), array(to_x))
    to_in, to_out = _outer(to_before, inputs, in_order, weight_in), _outer(incoming, units, in_order, weight_out)
    return to_x.to(x.dtype), to_in, to_out, to_share.to(share.dtype)


def _outer(incoming: torch.Tensor, inputs: torch.Tensor, groups: NodeGroups, table: torch.Tensor) -> torch.Tensor:
    """The gradient of a table (E, o, i): the sum of each expert's outer products of sorted rows (A, o) and (A, i)."""
    total = new_table(incoming, *table.shape)
    outer_products(incoming, inputs, groups, total)
    return total.to(table.dtype)
