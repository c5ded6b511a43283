"""Every weight of a layer drawn at random, fast enough for tables of gigabytes."""

import math

import torch
from torch import nn

# Large enough that two of a table's chunks start at the same place of the pool in one of a million pairs.
CHUNK = 2**20
POOL = 2 * CHUNK


def draw_weights(layer: nn.Module, in_features: int, depth: int, seed: int) -> None:
    """Fill all parameters with random values, so that a wrong node gives a wrong answer.

    A zero-initialised tree would hide a wrong leaf. Values come from one pool of uniform draws, read from a random
    place for each chunk: drawing every value of a large table takes longer than measuring it. Their scale,
    1/sqrt(p (k+1)), keeps outputs near 1.

    Args: in_features p and depth k: counts. seed: of all draws.
    """
    generator = torch.Generator().manual_seed(seed)
    bound = 1.0 / math.sqrt(in_features * (depth + 1))
    pool = torch.empty(POOL).uniform_(-bound, bound, generator=generator)
    with torch.no_grad():
        for parameter in layer.parameters():
            _fill(parameter, pool.to(parameter.device, parameter.dtype), generator)


def _fill(parameter: torch.Tensor, pool: torch.Tensor, generator: torch.Generator) -> None:
    # A parameter that is a transposed view is filled along its storage.
    flat = parameter.as_strided((parameter.numel(),), (1,))
    for start in range(0, flat.numel(), CHUNK):
        chunk = flat[start : start + CHUNK]
        offset = int(torch.randint(POOL - CHUNK, (1,), generator=generator))
        chunk.copy_(pool[offset : offset + chunk.numel()])
