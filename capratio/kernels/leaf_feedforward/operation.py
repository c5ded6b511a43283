"""leaf_feedforward as a torch operation: inference alone, since the peer trains another function, a soft mixture."""

import torch

from capratio.cost import op_formulas
from capratio.cost.operation import OperationCost
from capratio.kernels.backends import REFERENCE
from capratio.kernels.definition import define
from capratio.kernels.inference_only import refuse_gradients


def leaf_feedforward(
    x: torch.Tensor,
    hyperplanes: torch.Tensor,
    offsets: torch.Tensor,
    weight_in: torch.Tensor,
    bias_in: torch.Tensor,
    weight_out: torch.Tensor,
    backend: str = REFERENCE,
) -> torch.Tensor:
    """Lead each token to a leaf and apply its network, y = W_out relu(W_in x + b_in), which ends without a bias.

    Args: x: (N, p). hyperplanes: (2^k - 1, p) and offsets: (2^k - 1,), as of tree_descent. weight_in: (2^k, h, p).
    bias_in: (2^k, h). weight_out: (2^k, q, h). backend: ``reference`` or ``fastfeedforward``.

    Returns (N, q), without a gradient.

    Raises InputError where a gradient is asked for, or the backend cannot run.

    Source: Belcak & Wattenhofer 2023, arXiv 2308.14711, as the evaluation in the authors' code does it.
    """
    given = x, hyperplanes, offsets, weight_in, bias_in, weight_out
    refuse_gradients(backend, given)
    out: torch.Tensor = _LEAF_FEEDFORWARD(*given, backend)
    return out


def _cost(x: torch.Tensor, hyperplanes: torch.Tensor, *tables: torch.Tensor, backend: str) -> OperationCost:
    (tokens, p), depth = x.shape, len(hyperplanes).bit_length()
    hidden, q = tables[1].shape[1], tables[3].shape[1]
    return op_formulas.leaf_feedforward(tokens, p, q, depth, hidden, itemsize=x.itemsize)


_LEAF_FEEDFORWARD = define(
    "leaf_feedforward",
    "leaf_feedforward(Tensor x, Tensor hyperplanes, Tensor offsets, Tensor weight_in, Tensor bias_in, "
    "Tensor weight_out) -> Tensor",
    lambda x, hyperplanes, offsets, weight_in, bias_in, weight_out: x.new_empty(x.shape[0], weight_out.shape[1]),
    _cost,
)
