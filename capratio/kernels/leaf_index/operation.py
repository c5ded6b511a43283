"""leaf_index as a torch operation; a leaf has no gradient."""

import torch

from capratio.cost import op_formulas
from capratio.cost.operation import OperationCost
from capratio.kernels.backends import AUTO
from capratio.kernels.definition import define
from capratio.kernels.shape_check import check_bits, check_dtype


def leaf_index(bits: torch.Tensor, backend: str = AUTO) -> torch.Tensor:
    """The leaf of each bit pattern, int(b_1..b_k) with b_1 the most significant.

    Args: bits: bool (..., k). backend: one of ``capratio.kernels.backends.NAMES``.

    Returns int64 (...).

    Raises InputError for bits of another dtype or more than 62, or a backend that is not known or cannot run where the
    bits lie.
    """
    check_dtype("leaf_index", "bits", bits, torch.bool)
    check_bits("leaf_index", bits.shape[-1])
    out: torch.Tensor = _LEAF_INDEX(bits, backend)
    return out


def _cost(bits: torch.Tensor, *, backend: str) -> OperationCost:
    depth = bits.shape[-1]
    return op_formulas.leaf_index(bits.shape[:-1].numel(), depth)


_LEAF_INDEX = define(
    "leaf_index",
    "leaf_index(Tensor bits) -> Tensor",
    lambda bits: bits.new_empty(bits.shape[:-1], dtype=torch.int64),
    _cost,
)
