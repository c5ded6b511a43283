"""Where the CUDA kernels are tested: on a GPU, or on the CPU where Triton interprets; elsewhere nowhere."""

import pytest
import torch

from capratio.kernels.backends import interprets_triton

INTERPRETED = interprets_triton()
DEVICE = "cpu" if INTERPRETED else "cuda"
marks = [] if INTERPRETED else [pytest.mark.cuda]


def need_device() -> None:
    """Skip the whole file that calls this where there is neither: one line of the report, not hundreds."""
    if not INTERPRETED and not torch.cuda.is_available():
        pytest.skip("torch finds no CUDA device on this machine", allow_module_level=True)
