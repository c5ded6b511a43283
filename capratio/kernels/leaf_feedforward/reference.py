"""leaf_feedforward in plain torch: one token after the other."""

import torch

from capratio.kernels.precision import product_dtype


def leaf_feedforward(
    x: torch.Tensor,
    hyperplanes: torch.Tensor,
    offsets: torch.Tensor,
    weight_in: torch.Tensor,
    bias_in: torch.Tensor,
    weight_out: torch.Tensor,
) -> torch.Tensor:
    """y = W_out relu(W_in x + b_in) of each token's leaf: (N, p) -> (N, q)."""
    out = x.new_empty(len(x), weight_out.shape[1])
    wide = product_dtype(x)
    for token, row in enumerate(x.to(wide)):
        node = 0
        while node < len(hyperplanes):
            node = 2 * node + 1 + int(hyperplanes[node].to(wide) @ row + offsets[node].to(wide) > 0)
        leaf = node - len(hyperplanes)
        units = torch.relu(weight_in[leaf].to(wide) @ row + bias_in[leaf].to(wide))
        out[token] = weight_out[leaf].to(wide) @ units
    return out
