"""What conditional layers run is counted by hand-counted rules, also where torch's own counter gives nothing."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode, flop_registry

from capratio.cost.flop import Flop
from capratio.cost.operation import OperationCost, OperationFormula
from capratio.measure.flop_counter import count_operations

sizes = st.integers(1, 7)


def cost(call: Callable[[], object]) -> OperationCost:
    return count_operations(call, strict=True).cost


def torch_counts(call: Callable[[], object]) -> int:
    with FlopCounterMode(display=False) as counter:
        call()
    return int(counter.get_total_flops())


def drawn(*shape: int, gradient: bool = False) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1)).requires_grad_(gradient)


def differentiate(out: torch.Tensor) -> None:
    torch.autograd.backward(out, torch.ones(out.shape))


@pytest.mark.parametrize("ends", [[2, 2, 5], [0, 0, 0], [1, 3, 4]])
def test_a_grouped_product_reads_matrices_that_have_rows_and_rows_that_have_a_group(ends: list[int]) -> None:
    x, weight, offsets = drawn(5, 4), drawn(3, 4, 8), torch.tensor(ends, dtype=torch.int32)

    def call() -> torch.Tensor:
        return F.grouped_mm(x, weight, offs=offsets)

    counted = cost(call)
    groups = sum(end > start for start, end in zip([0, *ends], ends, strict=False))
    assert 0 == torch_counts(call)
    assert Flop(product=2 * ends[-1] * 4 * 8) == counted.flop
    assert ends[-1] * 4 * 4 + groups * 4 * 8 * 4 + 3 * 4 == counted.read_bytes


def test_the_backward_of_grouped_products_is_two_more_of_them() -> None:
    x, weight = drawn(5, 4, gradient=True), drawn(3, 4, 8, gradient=True)
    offsets = torch.tensor([2, 2, 5], dtype=torch.int32)

    counted = cost(lambda: differentiate(F.grouped_mm(x, weight, offs=offsets)))

    assert Flop(product=3 * 2 * 5 * 4 * 8) == counted.flop


@given(bags=st.integers(1, 4), rows=st.integers(1, 5), q=sizes)
def test_a_weighted_bag_multiplies_each_row_and_adds_all_but_the_first(bags: int, rows: int, q: int) -> None:
    table, weights = drawn(10, q), drawn(bags, rows)
    index = torch.arange(bags * rows).remainder(10).view(bags, rows)

    def call() -> torch.Tensor:
        return F.embedding_bag(index, table, mode="sum", per_sample_weights=weights)

    counted = cost(call)
    assert 0 == torch_counts(call)
    assert Flop(overhead=bags * rows * q + bags * (rows - 1) * q) == counted.flop
    assert bags * rows == counted.rows_gathered


def test_padding_in_a_bag_is_not_added() -> None:
    table, index = drawn(10, 3), torch.tensor([[1, 0, 3, 0]])

    counted = cost(lambda: F.embedding_bag(index, table, mode="sum", padding_idx=0))

    assert (Flop(overhead=3), 2) == (counted.flop, counted.rows_gathered)


def test_the_largest_of_a_bag_is_compared_and_not_added() -> None:
    table, index = drawn(10, 3), torch.tensor([[1, 0, 3, 0]])

    counted = cost(lambda: F.embedding_bag(index, table, mode="max"))

    assert (Flop(), 3 * 3) == (counted.flop, counted.routing_operations)


def test_the_dense_backward_of_a_bag_scales_and_adds_each_row_and_multiplies_it_into_its_weight() -> None:
    table, weights, index = drawn(10, 3, gradient=True), drawn(2, 4, gradient=True), torch.arange(8).view(2, 4)

    counted = cost(lambda: differentiate(F.embedding_bag(index, table, mode="sum", per_sample_weights=weights)))

    # 8 rows of 3 in 2 bags: forward 24 + 18, the table's gradient 24 + 24, the weights' 8 sums of 3 products.
    assert Flop(overhead=42 + 48 + 8 * 5) == counted.flop


def test_the_dense_backward_of_a_bag_without_weights_adds_each_row() -> None:
    table, index = drawn(10, 3, gradient=True), torch.arange(8).view(2, 4)

    counted = cost(lambda: differentiate(F.embedding_bag(index, table, mode="sum")))

    assert Flop(overhead=18 + 24) == counted.flop


def test_attention_on_the_cpu_is_counted_where_torch_counts_nothing() -> None:
    query, key, value = drawn(2, 3, 5, 8), drawn(2, 3, 7, 8), drawn(2, 3, 7, 8)

    def call() -> torch.Tensor:
        return F.scaled_dot_product_attention(query, key, value)

    counted = cost(call).flop
    scores = 2 * 3 * 5 * 7
    assert 0 == torch_counts(call)
    # Scaled, then 4 n − 1 for the softmax of a row of n = 7.
    assert Flop(product=2 * scores * (8 + 8), overhead=scores + 4 * scores - 2 * 3 * 5) == counted


def test_the_backward_of_attention_is_five_products() -> None:
    x = drawn(1, 2, 6, 8, gradient=True)

    counted = cost(lambda: differentiate(F.scaled_dot_product_attention(x, x, x)))

    assert (2 + 5) * 2 * (2 * 6 * 6) * 8 == counted.flop.product


def test_gather_multiply_sum_counts_rows_multiplies_and_adds_where_torch_counts_nothing() -> None:
    table, x, index = drawn(10, 4), drawn(2, 3), torch.tensor([[0, 1, 9], [5, 5, 2]])

    def call() -> torch.Tensor:
        return (table[index] * x.unsqueeze(-1)).sum(1)

    counted = cost(call)
    # 2 tokens of 3 rows of 4: 24 multiplies, and 2 adds for each of 8 results.
    assert 0 == torch_counts(call)
    assert (Flop(overhead=24 + 16), 6) == (counted.flop, counted.rows_gathered)


def test_a_matrix_gathered_for_each_token_is_as_many_bytes_as_tokens_have_matrices() -> None:
    weight, x, leaf = drawn(4, 3, 5), drawn(2, 5, 1), torch.tensor([1, 1])

    counted = cost(lambda: torch.bmm(weight[leaf], x))

    assert Flop(product=2 * 2 * 3 * 5) == counted.flop
    # Two matrices and their index are read to be written, and read again with x.
    assert (2 * 60 + 16) + (2 * 60 + 40) == counted.read_bytes
    assert 2 * 60 + 24 == counted.written_bytes


def test_a_composite_operation_is_counted_by_its_parts_under_inference_mode() -> None:
    left, right = drawn(2, 3, 5), drawn(5, 2)

    with torch.inference_mode():
        counted = cost(lambda: torch.einsum("bij,jk->bik", left, right).reshape(2, 6).contiguous())

    assert Flop(product=2 * 2 * 3 * 5 * 2) == counted.flop


def test_a_formula_is_given_the_arguments_and_the_output_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    promised = OperationCost(Flop(gating=7), 3, 100, 10, 2)

    def formula(*args: Any, out_val: Any) -> OperationCost:
        seen.extend((*args, out_val))
        return promised

    monkeypatch.setitem(flop_registry, torch.ops.aten.mm, OperationFormula(formula))
    left, right = drawn(3, 5), drawn(5, 2)

    counted = cost(lambda: torch.mm(left, right))

    # An operation's formula is also taken before the table's rule for it.
    assert promised == counted
    assert left is seen[0]
    assert (3, 2) == seen[2].shape


def test_complex_arithmetic_is_unknown_since_a_complex_multiply_is_six_flop() -> None:
    x = torch.ones(3, dtype=torch.complex64)

    assert ("aten.mul on complex numbers",) == count_operations(lambda: x * x, strict=False).unknown
