"""block_linear's CUDA kernels equal the reference in float64: on a GPU, or interpreted where TRITON_INTERPRET=1.

test_cuda_kernels_interpreted.py runs this file in the second way.
"""

import pytest
import torch

from capratio.kernels.block_linear import block_linear, block_linear_touched
from tests.kernels.cuda_device import DEVICE, marks, need_device

need_device()
pytestmark = marks

# Of the largest result.
TOLERANCES = {torch.float32: 1e-5, torch.bfloat16: 2e-2, torch.float16: 2e-3}
# Tokens, inputs, outputs, blocks of inputs, blocks of outputs: none, one, odd numbers of blocks and several tiles of
# tokens, blocks of one feature, one block that is wider than a program.
SHAPES = ((0, 4, 4, 2, 2), (1, 6, 8, 3, 4), (40, 6, 9, 3, 3), (20, 5, 3, 5, 1), (19, 80, 70, 1, 1))


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("rate, bias", [(0.4, True), (0.0, True), (1.0, False)])
def test_outputs_and_gradients_equal_the_reference(
    shape: tuple[int, ...], rate: float, bias: bool, dtype: torch.dtype
) -> None:
    tokens, p, q, in_blocks, out_blocks = shape
    generator = torch.Generator().manual_seed(tokens + p)
    sizes = ((tokens, p), (q, p), (q,)) if bias else ((tokens, p), (q, p))
    given = [torch.randn(*size, generator=generator).to(DEVICE, dtype).requires_grad_() for size in sizes]
    exact = [tensor.detach().double().requires_grad_() for tensor in given]
    live_in, live_out = (
        (torch.rand(tokens, blocks, generator=generator) < rate).to(DEVICE) for blocks in (in_blocks, out_blocks)
    )
    dy = torch.randn(tokens, q, generator=generator).to(DEVICE, dtype)

    out = block_linear(given[0], given[1], given[2] if bias else None, live_in, live_out, "cuda")
    expected = block_linear(exact[0], exact[1], exact[2] if bias else None, live_in, live_out, "reference")
    got = (out, *torch.autograd.grad(out, given, dy))
    wanted = (expected, *torch.autograd.grad(expected, exact, dy.double()))
    indices, values = block_linear_touched(dy, given[0].detach(), live_in, live_out, "cuda")
    rows, blocks = block_linear_touched(dy.double(), exact[0].detach(), live_in, live_out, "reference")

    assert torch.equal(rows, indices)
    for one, other in zip((*wanted, blocks), (*got, values), strict=True):
        assert dtype == other.dtype
        scale = one.abs().max().clamp_min(1e-3) if one.numel() else 1
        assert torch.allclose(one / scale, other.double() / scale, rtol=0, atol=TOLERANCES[dtype])


def test_a_repetition_is_equal_to_the_bit() -> None:
    generator = torch.Generator().manual_seed(3)
    x, weight = (torch.randn(*size, generator=generator).to(DEVICE).requires_grad_() for size in ((40, 12), (9, 12)))
    live_in, live_out = ((torch.rand(40, 3, generator=generator) < 0.5).to(DEVICE) for _ in range(2))

    first, second = (
        torch.autograd.grad(block_linear(x, weight, None, live_in, live_out, "cuda").square().sum(), (x, weight))
        for _ in range(2)
    )

    assert all(torch.equal(one, other) for one, other in zip(first, second, strict=True))
