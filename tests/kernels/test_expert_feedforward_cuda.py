"""The CUDA kernels of expert_feedforward equal the reference in float64: on a GPU, or where TRITON_INTERPRET=1.

test_cuda_kernels_interpreted.py runs this file in the second way.
"""

from dataclasses import replace

import pytest
import torch

from capratio.cost.op_formulas.expert_feedforward import ACTIVATIONS, first_rows
from capratio.kernels.cuda import cuda_blocks
from capratio.kernels.expert_feedforward import activation_triton, expert_feedforward
from tests.kernels.cuda_device import DEVICE, marks, need_device

need_device()
pytestmark = marks

# Of the largest result; half types round what lies between the products.
TOLERANCES = {torch.float32: 1e-5, torch.bfloat16: 5e-2, torch.float16: 5e-3}
# Tokens, inputs, outputs, hidden, experts, choices: none, one, odd widths, fewer slots than experts, many a expert.
SHAPES = ((0, 5, 4, 3, 2, 2), (1, 5, 4, 3, 4, 2), (9, 5, 3, 7, 4, 2), (3, 8, 9, 8, 40, 3), (70, 17, 33, 19, 2, 1))

Given = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]


def arguments(shape: tuple[int, ...], activation: str, dtype: torch.dtype) -> Given:
    tokens, p, q, hidden, experts, choices = shape
    generator = torch.Generator().manual_seed(1)

    def drawn(*size: int) -> torch.Tensor:
        return torch.randn(*size, generator=generator).to(DEVICE, dtype)

    return (
        drawn(tokens, p),
        drawn(experts, first_rows(hidden, activation), p) / p**0.5,
        drawn(experts, q, hidden) / hidden**0.5,
        torch.randint(-1, experts, (tokens, choices), generator=generator).to(DEVICE),
        drawn(tokens, choices),
    )


def results(given: Given, activation: str, backend: str) -> list[torch.Tensor]:
    """The output and all gradients."""
    x, weight_in, weight_out, expert, share = given
    leaves = x, weight_in, weight_out, share = [
        one.clone().requires_grad_() for one in (x, weight_in, weight_out, share)
    ]
    out = expert_feedforward(x, weight_in, weight_out, expert, share, activation, backend)
    grad = torch.randn(out.shape, generator=torch.Generator().manual_seed(2)).to(out)
    return [out.detach(), *torch.autograd.grad(out, leaves, grad)]


def check(shape: tuple[int, ...], activation: str, dtype: torch.dtype) -> None:
    given = arguments(shape, activation, dtype)
    x, weight_in, weight_out, expert, share = given
    wide = x.double(), weight_in.double(), weight_out.double(), expert, share.double()

    for expected, got in zip(results(wide, activation, "reference"), results(given, activation, "cuda"), strict=True):
        largest = max(1.0, expected.abs().max().item()) if expected.numel() else 1.0
        assert dtype == got.dtype
        assert torch.allclose(expected, got.double(), rtol=0, atol=TOLERANCES[dtype] * largest)


@pytest.mark.parametrize("shape", SHAPES)
def test_output_and_gradients_equal_the_reference(shape: tuple[int, ...]) -> None:
    check(shape, "geglu", torch.float32)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_equals_the_reference(activation: str) -> None:
    check(SHAPES[2], activation, torch.float32)


@pytest.mark.parametrize("activation, dtype", [("gelu", torch.bfloat16), ("swiglu", torch.float16)])
def test_half_types_equal_the_reference(activation: str, dtype: torch.dtype) -> None:
    check(SHAPES[2], activation, dtype)


def test_hidden_features_beyond_a_block_and_small_tiles_equal_the_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activation_triton, "_COLUMNS", 16)
    blocks = cuda_blocks.CUDA_BLOCKS
    small = tuple(
        replace(entry, tokens=16, along=16, across=16) for entry in blocks.product if entry.method != "vector"
    )
    vector = tuple(replace(entry, up_to_mean_tokens=1) for entry in blocks.product if entry.method == "vector")
    monkeypatch.setattr(cuda_blocks, "CUDA_BLOCKS", replace(blocks, product=(*vector, *small)))

    check((70, 17, 33, 50, 2, 1), "geglu", torch.float32)


def test_no_output_and_no_gradient_comes_from_dropped_tokens() -> None:
    x, weight_in, weight_out, expert, share = arguments(SHAPES[2], "relu", torch.float32)
    nobody = torch.full_like(expert, -1)

    assert not any(one.any() for one in results((x, weight_in, weight_out, nobody, share), "relu", "cuda"))


def test_a_repetition_is_equal_to_the_bit() -> None:
    given = arguments(SHAPES[4], "gelu", torch.float32)

    first, again = (results(given, "gelu", "cuda") for _ in range(2))

    assert all(torch.equal(one, other) for one, other in zip(first, again, strict=True))


def test_a_wrong_expert_is_seen() -> None:
    x, weight_in, weight_out, expert, share = given = arguments(SHAPES[2], "relu", torch.float32)
    planted = torch.where(expert >= 0, (expert + 1) % 4, expert)

    expected = results(given, "relu", "reference")[0]
    got = results((x, weight_in, weight_out, planted, share), "relu", "cuda")[0]

    assert not torch.allclose(expected, got, atol=1e-3)
