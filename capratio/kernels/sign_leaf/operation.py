"""sign_leaf as a torch operation; a leaf has no gradient."""

import torch

from capratio.cost import op_formulas
from capratio.cost.operation import OperationCost
from capratio.kernels.backends import AUTO
from capratio.kernels.definition import define
from capratio.kernels.shape_check import check_bits, check_dtype, check_shapes


def sign_leaf(x: torch.Tensor, chosen: torch.Tensor, backend: str = AUTO) -> torch.Tensor:
    """The leaf of each token by the signs of chosen features: int(b_1..b_k) of the bits b_l = (x[chosen_l] > 0).

    Args: x: (N, h), floating point. chosen: (..., k) int64 of 0..h - 1, the features of each pattern (one a token, or
    one for each input unit). backend: one of ``capratio.kernels.backends.NAMES``.

    Returns int64 (N, ...), without a gradient.

    Raises InputError for another shape or dtype, more than 62 bits, a feature that x has not (by the kernels of the
    CPU), or a backend that is not known or cannot run where x lies.
    """
    check_shapes("sign_leaf", (("x", x, "Nh"),))
    check_dtype("sign_leaf", "chosen", chosen, torch.int64)
    check_bits("sign_leaf", chosen.shape[-1])
    out: torch.Tensor = _SIGN_LEAF(x.detach(), chosen, backend)
    return out


def _cost(x: torch.Tensor, chosen: torch.Tensor, *, backend: str) -> OperationCost:
    return op_formulas.sign_leaf(len(x) * chosen.shape[:-1].numel(), chosen.shape[-1], itemsize=x.itemsize)


_SIGN_LEAF = define(
    "sign_leaf",
    "sign_leaf(Tensor x, Tensor chosen) -> Tensor",
    lambda x, chosen: x.new_empty((x.shape[0], *chosen.shape[:-1]), dtype=torch.int64),
    _cost,
)
