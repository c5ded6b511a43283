"""Products of each token's live blocks alone, beside torch's dense and block-sparse ones, as layers of a case file.

A square weight has as many blocks on each side, of which a token has ``live``: of all pairs of an input and an output
block live² / blocks² are alive.
"""

import math
from functools import lru_cache

import torch
from torch import nn
from torch.nn.functional import linear

from benchmarks.checked_layer import CheckedLayer
from capratio.errors import InputError
from capratio.kernels.block_linear import block_linear
from capratio.kernels.block_linear.bsr import live_weight

MASKS = ("own", "shared")


@lru_cache(maxsize=16)
@torch.inference_mode(False)  # A tensor of inference mode could not be trained with.
def draw_masks(tokens: int, blocks: int, live: int, masks: str, device: torch.device | str = "cpu") -> torch.Tensor:
    """The live blocks of inputs and of outputs, bool (2, N, B): ``live`` of each row, the same ones on every device.

    masks: ``own``, drawn for each token, or ``shared`` by all. Raises InputError for another word.
    """
    if masks not in MASKS:
        raise InputError(f"masks={masks!r} was given; use one of {', '.join(MASKS)}.")
    scores = torch.rand(2, tokens if masks == "own" else 1, blocks, generator=torch.Generator().manual_seed(0))
    return (scores.argsort(2).argsort(2) < live).expand(2, tokens, blocks).to(device).contiguous()


class BlockProduct(CheckedLayer):
    """y = ((x M_in) W^T) M_out by the operation block_linear, (N, p) -> (N, p).

    Args: features p. blocks, live: of each side. masks: as ``draw_masks``. backend: of the operation.
    """

    def __init__(self, features: int, blocks: int, live: int, masks: str, backend: str) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(features, features).uniform_(-1, 1) / math.sqrt(features))
        self.drawn = blocks, live, masks
        self.backend = backend

    def compute(self, x: torch.Tensor) -> torch.Tensor:
        """As CheckedLayer's."""
        live_in, live_out = self.masks(x)
        return block_linear(x, self.weight, None, live_in, live_out, self.backend)

    def expected(self, x: torch.Tensor) -> torch.Tensor:
        """As CheckedLayer's."""
        live_in, live_out = self.masks(x).repeat_interleave(x.shape[1] // self.drawn[0], 2)
        out: torch.Tensor = linear(x * live_in, self.weight.double()) * live_out
        return out

    def masks(self, x: torch.Tensor) -> torch.Tensor:
        """As ``draw_masks`` gives them for a batch, where it lies."""
        return draw_masks(len(x), *self.drawn, x.device)


class KeptBlockSparse(BlockProduct):
    """The same, of one shared mask, by torch's block-sparse tensor, which is made once and kept."""

    def __init__(self, features: int, blocks: int, live: int) -> None:
        super().__init__(features, blocks, live, "shared", "bsr")
        self.kept: torch.Tensor | None = None

    def compute(self, x: torch.Tensor) -> torch.Tensor:
        """As CheckedLayer's; forward alone."""
        if self.kept is None:
            live_in, live_out = self.masks(x)
            self.kept = live_weight(self.weight.detach(), live_in[0], live_out[0])
        return torch.mm(self.kept, x.t()).t().contiguous()
