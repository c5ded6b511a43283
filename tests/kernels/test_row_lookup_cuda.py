"""The CUDA kernels of row_lookup equal the reference in float64: on a GPU, or interpreted where TRITON_INTERPRET=1.

test_cuda_kernels_interpreted.py runs this file in the second way.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from capratio.kernels.cuda import cuda_blocks
from capratio.kernels.cuda.cuda_blocks import RowBlocks
from capratio.kernels.row_lookup import (
    row_lookup,
    row_lookup_share_gradient,
    row_lookup_table_gradient,
    row_lookup_touched_gradient,
)
from tests.kernels.cuda_device import DEVICE, marks, need_device

need_device()
pytestmark = marks

ROWS = 9
# Of sums of up to 40 terms of the size of 1.
TOLERANCES = {torch.float32: 1e-4, torch.bfloat16: 0.15, torch.float16: 0.02}
# Tokens, look-ups, features: none of each, one, odd widths, more than a block of rows and than a tile of look-ups.
SHAPES = ((0, 3, 5), (3, 0, 5), (1, 1, 1), (4, 3, 7), (2, 21, 5), (30, 9, 3))

Operation = Callable[..., Any]


def drawn(*shape: int, dtype: torch.dtype, seed: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(DEVICE, dtype)


def cases(tokens: int, lookups: int, features: int, dtype: torch.dtype) -> list[tuple[Operation, tuple[Any, ...]]]:
    """Every operation with its arguments but the backend, with shares and without."""
    grad, table = drawn(tokens, features, dtype=dtype, seed=1), drawn(ROWS, features, dtype=dtype, seed=2)
    row = torch.randint(0, ROWS, (tokens, lookups), generator=torch.Generator().manual_seed(3)).to(DEVICE)
    found: list[tuple[Operation, tuple[Any, ...]]] = [(row_lookup_share_gradient, (grad, table, row))]
    for share in (None, drawn(tokens, lookups, dtype=dtype, seed=4)):
        found.append((row_lookup, (table, row, share)))
        found.append((row_lookup_table_gradient, (grad, row, share, ROWS)))
        found.append((row_lookup_touched_gradient, (grad, row, share, ROWS)))
    return found


def check(operation: Operation, arguments: tuple[Any, ...]) -> None:
    wide = (one.double() if isinstance(one, torch.Tensor) and one.is_floating_point() else one for one in arguments)
    expected, got = operation(*wide, backend="reference"), operation(*arguments, backend="cuda")
    if isinstance(got, tuple):
        assert torch.equal(expected[0], got[0])
        expected, got = expected[1], got[1]
    assert expected.shape == got.shape
    assert torch.allclose(expected, got.double(), rtol=0, atol=TOLERANCES[got.dtype])


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", TOLERANCES)
def test_an_operation_equals_its_reference(dtype: torch.dtype, shape: tuple[int, int, int]) -> None:
    for operation, arguments in cases(*shape, dtype):
        check(operation, arguments)


def test_an_operation_equals_its_reference_in_many_small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    small = replace(cuda_blocks.CUDA_BLOCKS, rows=RowBlocks(4, 16, 4, 64, 1))
    monkeypatch.setattr(cuda_blocks, "CUDA_BLOCKS", small)

    for operation, arguments in cases(10, 11, 19, torch.float32):
        check(operation, arguments)


def test_an_operation_takes_tensors_that_are_not_contiguous() -> None:
    for operation, arguments in cases(5, 4, 6, torch.float32):
        apart = (one.repeat_interleave(2, -1)[..., ::2] if isinstance(one, torch.Tensor) else one for one in arguments)
        check(operation, tuple(apart))
