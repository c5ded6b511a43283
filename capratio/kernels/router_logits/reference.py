"""router_logits in plain torch: products in float32 or wider, one for all tokens, or one for each group's tokens."""

import torch

from capratio.kernels.leaf_linear import reference as leaf_linear
from capratio.kernels.precision import sum_dtype


def router_logits(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """logits_ne = weight_e . x_n: (N, p), (E, p) -> (N, E), float32 for half precision."""
    inputs = _wide(x)
    # Written into place, since autocast would round a plain product to a half type.
    return torch.mm(inputs, _wide(weight).t(), out=inputs.new_empty(x.shape[0], weight.shape[0]))


def group_router_logits(x: torch.Tensor, weight: torch.Tensor, group: torch.Tensor) -> torch.Tensor:
    """logits_nm = weight[group_n, m] . x_n: (N, p), (G, M, p), (N,) -> (N, M), float32 for half precision."""
    return leaf_linear.leaf_linear(_wide(x), weight, group)


def group_router_logits_weight_gradient(
    grad: torch.Tensor, x: torch.Tensor, group: torch.Tensor, groups: int
) -> torch.Tensor:
    """dweight[g] = sum over the tokens n of group g of dlogits_n x_n^T: (N, M), (N, p), (N,) -> (groups, M, p)."""
    return leaf_linear.leaf_linear_weight_gradient(_wide(grad), _wide(x), group, groups)


def _wide(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.to(sum_dtype(tensor.dtype))
