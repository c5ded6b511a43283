"""hyperplane_bits as a torch operation; a bit has no gradient."""

import torch

from capratio.cost import op_formulas
from capratio.cost.operation import OperationCost
from capratio.kernels.backends import REFERENCE
from capratio.kernels.definition import define


def hyperplane_bits(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Tell on which side of each hyperplane a token lies, bits_nl = (weight_l . x_n > 0).

    Args: x: (N, h). weight: (k, h), a normal vector for each bit.

    Returns bool (N, k), without a gradient: x and weight are taken as constants.
    """
    out: torch.Tensor = _HYPERPLANE_BITS(x.detach(), weight.detach(), REFERENCE)
    return out


def _cost(x: torch.Tensor, weight: torch.Tensor, *, backend: str) -> OperationCost:
    depth, features = weight.shape
    return op_formulas.hyperplane_bits(len(x), features, depth, itemsize=x.itemsize)


_HYPERPLANE_BITS = define(
    "hyperplane_bits",
    "hyperplane_bits(Tensor x, Tensor weight) -> Tensor",
    lambda x, weight: x.new_empty((x.shape[0], weight.shape[0]), dtype=torch.bool),
    _cost,
)
