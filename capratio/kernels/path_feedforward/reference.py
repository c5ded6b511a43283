"""path_feedforward in plain torch: one token after the other."""

import torch
from torch.nn.functional import gelu

from capratio.kernels.precision import product_dtype


def path_feedforward(x: torch.Tensor, weight_in: torch.Tensor, weight_out: torch.Tensor) -> torch.Tensor:
    """y = sum over l = 0..k of gelu(w_in[node_l] . x) w_out[node_l]: (N, p) -> (N, q)."""
    wide = product_dtype(x)
    out = x.new_zeros(len(x), weight_out.shape[1], dtype=wide)
    for token, row in enumerate(x.to(wide)):
        node = 0
        while node < len(weight_in):
            value = weight_in[node].to(wide) @ row
            out[token] += gelu(value) * weight_out[node].to(wide)
            node = 2 * node + 1 + int(value > 0)
    return out.to(x.dtype)
