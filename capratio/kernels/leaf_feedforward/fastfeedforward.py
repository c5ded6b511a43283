"""leaf_feedforward by the package fastfeedforward, a peer: its own evaluation, on our weights where they lie."""

from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.functional import relu

from capratio.errors import InputError

try:
    from fastfeedforward import FFF
except ImportError as error:
    raise InputError(
        "backend='fastfeedforward' needs the package fastfeedforward, which is not installed; install it by the extra "
        "peers, pip install 'capratio[peers]'."
    ) from error


@dataclass(frozen=True, slots=True)
class _Weights:
    """What the package's evaluation reads of its module, under its names; the matrices are views of ours."""

    depth: torch.Tensor
    output_width: int
    node_weights: torch.Tensor
    node_biases: torch.Tensor
    w1s: torch.Tensor
    b1s: torch.Tensor
    w2s: torch.Tensor
    activation: Any = relu


def leaf_feedforward(
    x: torch.Tensor,
    hyperplanes: torch.Tensor,
    offsets: torch.Tensor,
    weight_in: torch.Tensor,
    bias_in: torch.Tensor,
    weight_out: torch.Tensor,
) -> torch.Tensor:
    """y = W_out relu(W_in x + b_in) of each token's leaf: (N, p) -> (N, q).

    Raises InputError for what the package's evaluation cannot do: a dtype other than float32, and depth 0.
    """
    if x.dtype != torch.float32:
        raise InputError(
            f"backend='fastfeedforward' was given {x.dtype}; its outputs are float32, use that or another backend."
        )
    if not len(hyperplanes):
        raise InputError("backend='fastfeedforward' was given depth 0, at which it fails; use depth 1 or more.")
    module = _Weights(
        torch.tensor(len(hyperplanes).bit_length()),
        weight_out.shape[1],
        hyperplanes,
        offsets.unsqueeze(1),
        weight_in.transpose(1, 2),
        bias_in,
        weight_out.transpose(1, 2),
    )
    out: torch.Tensor = FFF.eval_forward(module, x.contiguous())
    return out
