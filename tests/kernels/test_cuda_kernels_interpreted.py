"""The CUDA kernels are right where there is no GPU: their tests pass under Triton's interpreter, on tensors of the CPU.

In a process of its own, for whether Triton interprets is settled when it is imported, and torch's compiler imports it.
"""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent
NAMES = (
    "test_block_linear_cuda.py",
    "test_cuda_kernel_mistakes.py",
    "test_cuda_kernels.py",
    "test_cuda_tiles.py",
    "test_expert_feedforward_cuda.py",
    "test_row_lookup_cuda.py",
)
TESTS = [str(FOLDER / name) for name in NAMES]


@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="triton is not installed")
def test_cuda_kernels_are_right_under_the_interpreter_of_triton() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *TESTS],
        cwd=FOLDER.parents[1],
        env=os.environ | {"TRITON_INTERPRET": "1"},
        capture_output=True,
        text=True,
    )

    assert 0 == run.returncode, run.stdout + run.stderr
    assert " passed" in run.stdout
