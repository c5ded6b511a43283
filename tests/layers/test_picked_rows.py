"""Rows that many tokens share: their gradients are sums in float32, whatever the type of the table."""

import pytest
import torch

from capratio.layers.picked_rows import PickedRows, picked_rows_gradient, summed_by_index


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
def test_ones_of_many_tokens_add_up_to_their_number(dtype: torch.dtype) -> None:
    # A sum of ones in bfloat16 stops at 256.
    grad, row = torch.ones(2048, 3, dtype=dtype), torch.zeros(2048, dtype=torch.int64)

    assert torch.equal(torch.tensor([[2048.0] * 3, [0.0] * 3], dtype=dtype), summed_by_index(grad, row, 2))


def test_both_ways_to_sum_give_the_same() -> None:
    generator = torch.Generator().manual_seed(0)
    grad = torch.randn(50, 4, generator=generator, dtype=torch.float64)
    row = torch.randint(7, (50,), generator=generator)

    assert torch.allclose(picked_rows_gradient(grad, row, 7), summed_by_index(grad, row, 7), rtol=1e-12)


def test_the_way_of_a_gpu_picks_rows_and_has_gradients_of_every_order() -> None:
    table = torch.randn(4, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64).requires_grad_()
    row = torch.tensor([[2, 0, 2], [2, 1, 2]])

    def pick(table: torch.Tensor) -> torch.Tensor:
        return PickedRows.apply(table, row)  # type: ignore[no-any-return, no-untyped-call]

    assert torch.equal(table[row], pick(table))
    assert torch.autograd.gradcheck(pick, (table,))
    assert torch.autograd.gradgradcheck(pick, (table,))


def test_many_tokens_of_one_row_give_it_their_number_in_bfloat16() -> None:
    table = torch.ones(2, 3, dtype=torch.bfloat16, requires_grad=True)

    PickedRows.apply(table, torch.zeros(2048, dtype=torch.int64)).sum().backward()  # type: ignore[no-untyped-call]

    assert [[2048.0] * 3, [0.0] * 3] == table.grad.tolist()  # type: ignore[union-attr]
