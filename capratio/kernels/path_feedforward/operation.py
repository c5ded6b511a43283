"""path_feedforward as a torch operation, for inference."""

import torch

from capratio.cost import op_formulas
from capratio.cost.operation import OperationCost
from capratio.kernels.backends import REFERENCE
from capratio.kernels.definition import define
from capratio.kernels.inference_only import refuse_gradients


def path_feedforward(
    x: torch.Tensor, weight_in: torch.Tensor, weight_out: torch.Tensor, backend: str = REFERENCE
) -> torch.Tensor:
    """Add up the neurons on each token's way down, y = sum over l = 0..k of gelu(w_in[node_l] . x) w_out[node_l].

    Args: x: (N, p). weight_in: (2^(k+1) - 1, p) and weight_out: (2^(k+1) - 1, q), a neuron for each node in level
    order, with the way of neuron_path. backend: ``reference`` or ``ultrafastbert``.

    Returns (N, q), without a gradient.

    Raises InputError where a gradient is asked for, or the backend cannot run.

    Source: Belcak & Wattenhofer 2023, arXiv 2311.10770, as their published benchmark does it.
    """
    refuse_gradients(backend, (x, weight_in, weight_out))
    out: torch.Tensor = _PATH_FEEDFORWARD(x, weight_in, weight_out, backend)
    return out


def _cost(x: torch.Tensor, weight_in: torch.Tensor, weight_out: torch.Tensor, *, backend: str) -> OperationCost:
    tokens, p = x.shape
    depth = len(weight_in).bit_length() - 1
    return op_formulas.path_feedforward(tokens, p, weight_out.shape[1], depth, itemsize=x.itemsize)


_PATH_FEEDFORWARD = define(
    "path_feedforward",
    "path_feedforward(Tensor x, Tensor weight_in, Tensor weight_out) -> Tensor",
    lambda x, weight_in, weight_out: x.new_empty(x.shape[0], weight_out.shape[1]),
    _cost,
)
