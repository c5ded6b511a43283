"""The error that a reference allows for rounding covers what rounding does, and little more."""

import pytest
import torch

from capratio.sweep.references.rounding import linear_error, summed_eps


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("features", [16, 64, 256])
def test_two_products_in_a_row_are_off_by_no_more_than_is_allowed(features: int, dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(features)

    def drawn(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator).to(dtype)

    x, first, bias, second = drawn(200, features), drawn(64, features), drawn(64), drawn(64, 64)
    exact = x.double() @ first.double().t() + bias.double()
    found = torch.nn.functional.linear(x, first, bias)
    eps = torch.finfo(dtype).eps

    once = linear_error(first.double(), bias.double(), x.double(), torch.zeros(200, features), eps)
    no_bias = torch.zeros(64, dtype=torch.float64)
    twice = linear_error(second.double(), no_bias, exact, once, eps)

    distances = (found.double() - exact).abs(), ((found @ second.t()).double() - exact @ second.double().t()).abs()
    for distance, allowed in zip(distances, (once, twice), strict=True):
        assert (distance <= allowed).all()
        assert allowed.mean() < 100 * distance.mean().clamp(min=eps / 4)


def test_an_error_of_the_input_goes_through_the_matrix() -> None:
    weight, bias = torch.tensor([[3.0, 4.0]]), torch.zeros(1)

    # Errors of 1 in both features, taken as independent, and no rounding: the root of 9 and 16.
    assert torch.equal(torch.tensor([5.0]), linear_error(weight, bias, torch.zeros(2), torch.ones(2), 0.0))


def test_half_types_round_the_result_and_sum_in_float32() -> None:
    weight, bias = torch.tensor([[3.0, 4.0]]), torch.ones(1)
    bfloat16 = torch.finfo(torch.bfloat16).eps

    # One rounding of 3 + 4 + 1; those of the sum are thousands of times smaller.
    error = linear_error(weight, bias, torch.ones(2), torch.zeros(2), bfloat16)

    assert pytest.approx(8 * bfloat16, rel=1e-3) == float(error)
    assert torch.finfo(torch.float32).eps == summed_eps(bfloat16)
    assert torch.finfo(torch.float64).eps == summed_eps(torch.finfo(torch.float64).eps)
