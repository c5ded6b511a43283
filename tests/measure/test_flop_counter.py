"""The counter agrees with counts by hand, knows what torch's own counter does not, and raises on what it does not know."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.utils.flop_counter import FlopCounterMode, flop_registry

from capratio.cost.flop import Flop
from capratio.cost.operation import OperationCost, OperationFormula
from capratio.errors import UnknownOperationError
from capratio.measure.flop_counter import OperationCount, count_operations

sizes = st.integers(1, 7)


def cost(call: Any) -> OperationCost:
    return count_operations(call, strict=True).cost


def flop(call: Any) -> Flop:
    return cost(call).flop


def torch_counts(call: Any) -> int:
    with FlopCounterMode(display=False) as counter:
        call()
    return counter.get_total_flops()


def drawn(*shape: int, gradient: bool = False) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1)).requires_grad_(gradient)


def test_a_product_is_two_flop_for_each_multiply_add_and_moves_its_three_matrices() -> None:
    left, right = drawn(3, 5), drawn(5, 2)

    counted = cost(lambda: left @ right)

    # 3 · 2 results of 5 multiply-adds; 15 + 10 float32 in, 6 out.
    assert Flop(product=60) == counted.flop
    assert (25 * 4, 6 * 4) == (counted.read_bytes, counted.written_bytes)


def test_torchs_own_counter_agrees_on_plain_products() -> None:
    left, right = drawn(3, 5), drawn(5, 2)

    assert torch_counts(lambda: left @ right) == flop(lambda: left @ right).total


@given(n=st.integers(0, 7), p=sizes, q=sizes, inference=st.booleans())
def test_linear_is_2npq_and_its_bias_nq_in_every_mode(n: int, p: int, q: int, inference: bool) -> None:
    layer, x = nn.Linear(p, q), drawn(n, p)

    with torch.inference_mode(inference):
        counted = flop(lambda: layer(x))

    assert Flop(product=2 * n * p * q, bias=n * q) == counted


@given(n=st.integers(0, 7), p=sizes, q=sizes)
def test_the_backward_of_linear_is_two_more_products_and_a_sum_for_the_bias(n: int, p: int, q: int) -> None:
    layer, x = nn.Linear(p, q), drawn(n, p, gradient=True)

    counted = flop(lambda: layer(x).backward(torch.ones(n, q)))

    assert Flop(product=3 * 2 * n * p * q, bias=n * q + max(n - 1, 0) * q) == counted


def test_a_vector_times_a_matrix_is_a_product_also_where_torch_counts_nothing() -> None:
    matrix, vector = drawn(4, 3), drawn(3)

    assert 0 == torch_counts(lambda: torch.mv(matrix, vector))
    assert Flop(product=24) == flop(lambda: torch.mv(matrix, vector))
    assert Flop(product=6) == flop(lambda: torch.dot(vector, vector))
    assert Flop(product=24, bias=4) == flop(lambda: torch.addmv(drawn(4), matrix, vector))


@given(b=sizes, m=sizes, k=sizes, n=sizes)
def test_batched_products_are_a_product_for_each_batch(b: int, m: int, k: int, n: int) -> None:
    left, right, added = drawn(b, m, k), drawn(b, k, n), drawn(b, m, n)

    assert Flop(product=2 * b * m * k * n) == flop(lambda: left @ right)
    assert Flop(product=2 * b * m * k * n, overhead=b * m * n) == flop(lambda: torch.baddbmm(added, left, right))


def test_adding_a_matrix_to_a_product_is_overhead_and_a_vector_bias_and_nothing_at_beta_0() -> None:
    left, right = drawn(3, 5), drawn(5, 2)

    assert Flop(product=60, overhead=6) == flop(lambda: torch.addmm(drawn(3, 2), left, right))
    assert Flop(product=60, bias=6) == flop(lambda: torch.addmm(drawn(2), left, right))
    assert Flop(product=60) == flop(lambda: torch.addmm(drawn(3, 2), left, right, beta=0))
    assert Flop(product=60, overhead=12) == flop(lambda: torch.addmm(drawn(3, 2), left, right, alpha=2))


@pytest.mark.parametrize("ends", [[2, 2, 5], [0, 0, 0], [1, 3, 4]])
def test_grouped_products_count_rows_that_have_a_group_where_torch_counts_nothing(ends: list[int]) -> None:
    x, weight, offsets = drawn(5, 4), drawn(3, 4, 8), torch.tensor(ends, dtype=torch.int32)

    counted = cost(lambda: F.grouped_mm(x, weight, offs=offsets))

    groups = sum(end > start for start, end in zip([0, *ends], ends, strict=False))
    assert 0 == torch_counts(lambda: F.grouped_mm(x, weight, offs=offsets))
    assert Flop(product=2 * ends[-1] * 4 * 8) == counted.flop
    assert ends[-1] * 4 * 4 + groups * 4 * 8 * 4 + 3 * 4 == counted.read_bytes


def test_the_backward_of_grouped_products_is_two_more_of_them() -> None:
    x, weight = drawn(5, 4, gradient=True), drawn(3, 4, 8, gradient=True)
    offsets = torch.tensor([2, 2, 5], dtype=torch.int32)

    counted = flop(lambda: F.grouped_mm(x, weight, offs=offsets).backward(torch.ones(5, 8)))

    assert Flop(product=3 * 2 * 5 * 4 * 8) == counted


@given(bags=st.integers(1, 4), rows=st.integers(1, 5), q=sizes)
def test_a_weighted_bag_is_a_product_with_a_sparse_matrix_where_torch_counts_nothing(
    bags: int, rows: int, q: int
) -> None:
    table, index, weights = drawn(10, q), torch.arange(bags * rows).remainder(10).view(bags, rows), drawn(bags, rows)

    def call() -> torch.Tensor:
        return F.embedding_bag(index, table, mode="sum", per_sample_weights=weights)

    counted = cost(call)
    assert 0 == torch_counts(call)
    assert Flop(product=2 * bags * rows * q) == counted.flop
    assert bags * rows == counted.rows_gathered


def test_a_bag_without_weights_adds_its_rows_and_a_mean_divides() -> None:
    table, index, starts = drawn(10, 3), torch.tensor([1, 2, 3, 4, 5, 5]), torch.tensor([0, 4, 4])

    # Bags of 4, 0 and 2 rows: 3 and 1 adds of 3 elements.
    assert Flop(overhead=12) == flop(lambda: F.embedding_bag(index, table, starts, mode="sum"))
    assert Flop(overhead=12 + 6) == flop(lambda: F.embedding_bag(index, table, starts, mode="mean"))
    assert 12 == cost(lambda: F.embedding_bag(index, table, starts, mode="max")).routing_operations


def test_padding_in_a_bag_is_not_added() -> None:
    table, index = drawn(10, 3), torch.tensor([[1, 0, 3, 0]])

    counted = cost(lambda: F.embedding_bag(index, table, mode="sum", padding_idx=0))

    assert Flop(overhead=3) == counted.flop
    assert 2 == counted.rows_gathered


def test_the_dense_backward_of_a_bag_is_a_product_for_the_table_and_one_for_the_weights() -> None:
    table, weights, index = drawn(10, 3, gradient=True), drawn(2, 4, gradient=True), torch.arange(8).view(2, 4)

    def call() -> None:
        F.embedding_bag(index, table, mode="sum", per_sample_weights=weights).backward(torch.ones(2, 3))

    # 8 rows of 3 elements: forward, the table's gradient, the weights' gradient.
    assert Flop(product=3 * 2 * 8 * 3) == flop(call)


def test_the_dense_backward_of_a_bag_without_weights_adds_each_row() -> None:
    table, index = drawn(10, 3, gradient=True), torch.arange(8).view(2, 4)

    counted = flop(lambda: F.embedding_bag(index, table, mode="sum").backward(torch.ones(2, 3)))

    assert Flop(overhead=2 * 3 * 3 + 8 * 3) == counted


@given(groups=st.integers(1, 2), transposed=st.booleans())
def test_a_convolution_is_a_product_of_each_position_with_its_groups_weights(groups: int, transposed: bool) -> None:
    kind = nn.ConvTranspose2d if transposed else nn.Conv2d
    layer, x = kind(4, 6, 3, groups=groups), drawn(2, 4, 5, 5)

    counted = flop(lambda: layer(x))

    # 3 × 3 positions of the output meet the weights, of a transposed one the 5 × 5 of the input.
    positions, weights = (25, 4 * 6 * 9 // groups) if transposed else (9, 6 * 4 * 9 // groups)
    out = 49 if transposed else 9
    assert Flop(product=2 * 2 * positions * weights, bias=2 * 6 * out) == counted
    assert torch_counts(lambda: layer(x)) == counted.product


def test_the_backward_of_a_convolution_is_two_more_products_and_the_biases_sum() -> None:
    layer, x = nn.Conv2d(2, 3, 3), drawn(1, 2, 5, 5, gradient=True)

    counted = flop(lambda: layer(x).backward(torch.ones(1, 3, 3, 3)))

    assert Flop(product=3 * 2 * 9 * 3 * 2 * 9, bias=27 + 27 - 3) == counted


def test_attention_on_the_cpu_is_two_products_where_torch_counts_nothing() -> None:
    query, key, value = drawn(2, 3, 5, 8), drawn(2, 3, 7, 8), drawn(2, 3, 7, 8)

    def call() -> torch.Tensor:
        return F.scaled_dot_product_attention(query, key, value)

    counted = flop(call)
    scores = 2 * 3 * 5 * 7
    assert 0 == torch_counts(call)
    assert 2 * scores * 8 + 2 * scores * 8 == counted.product
    # Scaled, then 4 n − 1 for the softmax of a row of n = 7.
    assert scores + 4 * scores - 2 * 3 * 5 == counted.overhead


def test_the_backward_of_attention_is_five_products() -> None:
    x = drawn(1, 2, 6, 8, gradient=True)

    counted = flop(lambda: F.scaled_dot_product_attention(x, x, x).backward(torch.ones(1, 2, 6, 8)))

    assert (2 + 5) * 2 * (2 * 6 * 6) * 8 == counted.product


def test_gather_multiply_sum_counts_rows_products_and_adds_where_torch_counts_nothing() -> None:
    table, x, index = drawn(10, 4), drawn(2, 3), torch.tensor([[0, 1, 9], [5, 5, 2]])

    def call() -> torch.Tensor:
        return (table[index] * x.unsqueeze(-1)).sum(1)

    counted = cost(call)
    # 2 tokens of 3 rows of 4: 24 multiplies, and 2 adds for each of 8 results.
    assert 0 == torch_counts(call)
    assert Flop(overhead=24 + 16) == counted.flop
    assert 6 == counted.rows_gathered


def test_a_composite_operation_is_counted_by_its_parts_under_inference_mode() -> None:
    left, right = drawn(2, 3, 5), drawn(5, 2)

    with torch.inference_mode():
        counted = count_operations(lambda: torch.einsum("bij,jk->bik", left, right).reshape(2, 6).contiguous(), True)

    assert Flop(product=2 * 2 * 3 * 5 * 2) == counted.cost.flop


def test_the_formula_of_an_operation_is_taken_before_its_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    promised = OperationCost(Flop(gating=7), 3, 100, 10, 2)
    monkeypatch.setitem(flop_registry, torch.ops.aten.mm, OperationFormula(lambda *args, out_val: promised))

    assert promised == cost(lambda: drawn(3, 5) @ drawn(5, 2)).__add__(OperationCost(written_bytes=-25 * 4))


def test_a_formula_sees_the_arguments_and_the_output_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []

    def formula(*args: Any, out_val: Any) -> OperationCost:
        seen.extend((*args, out_val))
        return OperationCost()

    monkeypatch.setitem(flop_registry, torch.ops.aten.mm, OperationFormula(formula))
    left, right = drawn(3, 5), drawn(5, 2)

    count_operations(lambda: torch.mm(left, right), strict=True)

    assert left is seen[0]
    assert (3, 2) == seen[2].shape


@pytest.mark.parametrize("call", [lambda: torch.linalg.qr(torch.eye(3)), lambda: torch.fft.fft(torch.ones(4))])
def test_an_unknown_operation_raises_its_name_if_strict_and_is_listed_if_not(call: Any) -> None:
    lenient = count_operations(call, strict=False)

    assert 1 == len(lenient.unknown)
    with pytest.raises(UnknownOperationError, match=lenient.unknown[0].split(" ")[0]):
        count_operations(call, strict=True)


def test_complex_arithmetic_is_unknown_since_a_complex_multiply_is_six_flop() -> None:
    x = torch.ones(3, dtype=torch.complex64)

    assert ("aten.mul on complex numbers",) == count_operations(lambda: x * x, strict=False).unknown


def test_what_is_known_is_counted_beside_what_is_not() -> None:
    counted = count_operations(lambda: torch.linalg.qr(drawn(3, 5) @ drawn(5, 2)), strict=False)

    assert Flop(product=60) == counted.cost.flop


def test_a_call_without_operations_costs_nothing() -> None:
    assert OperationCount(OperationCost(), ()) == count_operations(lambda: None, strict=True)


def test_a_rule_that_counts_too_little_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    from capratio.measure.flop_counter import RULES

    layer, x = nn.Linear(3, 2), drawn(4, 3)
    monkeypatch.setitem(RULES, "aten::addmm", RULES["aten::mm"])

    with pytest.raises(KeyError):
        flop(lambda: layer(x))
    monkeypatch.setitem(RULES, "aten::addmm", lambda call: call.cost(Flop(product=2 * 4 * 3)))
    assert Flop(product=2 * 4 * 3 * 2, bias=8) != flop(lambda: layer(x))
