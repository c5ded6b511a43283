"""Each operation costs what a count by hand says."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from capratio.cost.flop import Flop
from capratio.measure.flop_counter import count_operations
from tests.measure.counting import K, M, N, count, differentiate, f, i


@pytest.mark.parametrize(
    "operation, arguments, product",
    [
        (torch.mm, (f(M, K), f(K, N)), 2 * 105),
        (torch.bmm, (f(2, M, K), f(2, K, N)), 4 * 105),
        (torch.matmul, (f(2, M, K), f(K, N)), 4 * 105),
        (torch.mv, (f(M, K), f(K)), 2 * 15),
        (torch.dot, (f(K), f(K)), 2 * 5),
        (torch.outer, (f(M), f(N)), 21),
        (F.linear, (f(M, K), f(N, K)), 2 * 105),
        # 2 images, 3 → 4 channels, kernel 3 × 3 on 5 × 5: 9 positions of 27 weights for each of 4 channels.
        (F.conv2d, (f(2, 3, 5, 5), f(4, 3, 3, 3)), 2 * 2 * 9 * 27 * 4),
        # Each of 25 input positions meets 3 · 4 · 9 weights.
        (F.conv_transpose2d, (f(2, 3, 5, 5), f(3, 4, 3, 3)), 2 * 2 * 25 * 108),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_products_cost_2mnk_in_every_mode(
    operation: Callable[..., torch.Tensor], arguments: tuple[torch.Tensor, ...], product: int, mode: Callable[[], Any]
) -> None:
    def call() -> object:
        with mode():
            return operation(*arguments)

    counted = count_operations(call, strict=True).cost.flop

    if operation is torch.outer:
        # An outer product is an elementwise one: one multiply an element, and no add.
        assert Flop(overhead=product) == counted
    else:
        assert Flop(product=product) == counted


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_the_bias_of_a_linear_layer_is_bias(mode: Callable[[], Any]) -> None:
    def call() -> object:
        with mode():
            return F.linear(f(M, K), f(N, K), f(N))

    assert Flop(product=210, bias=21) == count_operations(call, strict=True).cost.flop


def test_a_matrix_that_is_added_to_a_product_is_overhead() -> None:
    assert Flop(product=210, overhead=21) == count(torch.addmm, f(M, N), f(M, K), f(K, N)).flop


def test_factors_of_a_product_are_overhead() -> None:
    counted = count(torch.addmm, f(N), f(M, K), f(K, N), alpha=2, beta=3).flop

    # 21 for alpha on the product, 7 for beta on the vector.
    assert Flop(product=210, bias=21, overhead=28) == counted
    assert Flop(product=210) == count(torch.addmm, f(N), f(M, K), f(K, N), beta=0).flop


@pytest.mark.parametrize(
    "left, right, ends, product",
    [
        # Rows in groups of 2 and 1; the last row is past the end and belongs to none.
        (f(4, 8), f(2, 8, 4), (2, 3), 2 * 3 * 8 * 4),
        # Columns in groups.
        (f(2, 3, 8), f(8, 8), (4, 8), 2 * 3 * 8 * 8),
        # Terms in groups.
        (f(4, 8), f(8, 4), (4, 8), 2 * 4 * 8 * 4),
        (f(2, 4, 8), f(2, 8, 4), None, 2 * 2 * 4 * 8 * 4),
        (f(0, 8), f(2, 8, 4), (0, 0), 0),
    ],
)
def test_a_grouped_product_counts_what_its_groups_hold(
    left: torch.Tensor, right: torch.Tensor, ends: tuple[int, ...] | None, product: int
) -> None:
    offsets = None if ends is None else torch.tensor(ends, dtype=torch.int32)

    assert Flop(product=product) == count(F.grouped_mm, left, right, offs=offsets).flop


def quarter(layout: str) -> torch.Tensor:
    """A matrix of 8 x 8 that stores the 4 x 4 elements of its first quarter alone."""
    matrix = torch.zeros(8, 8)
    matrix[:4, :4] = 1.0
    made: torch.Tensor = matrix.to_sparse(layout=getattr(torch, layout), blocksize=(2, 2) if "bs" in layout else None)
    return made


@pytest.mark.filterwarnings("ignore:Sparse .* support is in beta state")
@pytest.mark.parametrize("layout", ["sparse_coo", "sparse_csr", "sparse_csc", "sparse_bsr"])
def test_of_a_sparse_factor_the_stored_elements_are_multiplied(layout: str) -> None:
    sparse, x = quarter(layout), torch.ones(8, 3)

    assert Flop(product=2 * 16 * 3) == count(lambda: sparse @ x).flop
    assert Flop(product=2 * 16) == count(lambda: sparse @ x[:, 0]).flop
    assert Flop(product=2 * 16 * 3) == count(lambda: F.linear(x.t(), sparse)).flop
    added = count(lambda: torch.addmm(torch.zeros(8, 3), sparse, x))
    assert Flop(product=2 * 16 * 3, overhead=24) == added.flop
    if layout in ("sparse_csr", "sparse_csc"):
        assert Flop(product=2 * 16 * 3) == count(lambda: x.t() @ sparse).flop


@pytest.mark.filterwarnings("ignore:Sparse .* support is in beta state")
@pytest.mark.parametrize("operation", [lambda sparse: sparse * 2, lambda sparse: sparse @ sparse])
@pytest.mark.parametrize("layout", ["sparse_coo", "sparse_csr"])
def test_what_else_is_done_with_sparse_tensors_is_not_known(
    operation: Callable[[torch.Tensor], torch.Tensor], layout: str
) -> None:
    sparse = quarter(layout)

    counted = count_operations(lambda: operation(sparse), strict=False)

    (name,) = counted.unknown
    assert "sparse" in name


def test_torch_counts_nothing_for_grouped_products_and_bags_and_we_do() -> None:
    offsets = torch.tensor([2, 4], dtype=torch.int32)

    def call() -> None:
        F.grouped_mm(f(4, 8), f(2, 8, 4), offs=offsets)
        F.embedding_bag(i(0, 1, 2), f(5, 6), i(0), mode="sum")

    with FlopCounterMode(display=False) as theirs:
        call()

    assert 0 == theirs.get_total_flops()
    assert Flop(product=2 * 4 * 8 * 4, overhead=2 * 6) == count(call).flop


def test_torch_counts_nothing_for_a_matrix_by_a_vector_and_we_do() -> None:
    with FlopCounterMode(display=False) as theirs:
        torch.mv(f(M, K), f(K))

    assert 0 == theirs.get_total_flops()
    assert 30 == count(torch.mv, f(M, K), f(K)).flop.total


def test_products_cost_what_torch_counts_where_it_counts() -> None:
    def call() -> None:
        x = f(M, K).requires_grad_()
        weight = f(N, K).requires_grad_()
        differentiate(F.linear(x, weight, f(N).requires_grad_()).sum())
        differentiate(F.conv2d(f(2, 4, 5, 5).requires_grad_(), f(6, 4, 3, 3).requires_grad_()).sum())

    with FlopCounterMode(display=False) as theirs:
        call()

    assert theirs.get_total_flops() == count(call).flop.product


def test_the_gradients_of_a_convolution_in_groups_cost_a_product_each() -> None:
    x, weight = f(2, 4, 5, 5).requires_grad_(), f(6, 2, 3, 3).requires_grad_()

    counted = count(lambda: differentiate(F.conv2d(x, weight, groups=2), f(2, 6, 3, 3)))

    # 2 images of 9 positions meet 6 · 2 · 9 weights, forward and for both gradients.
    assert Flop(product=3 * 2 * 2 * 9 * 108) == counted.flop


def test_attention_costs_two_products_of_all_positions() -> None:
    query, key, value = f(1, 2, 3, 8), f(1, 2, 5, 8), f(1, 2, 5, 8)

    counted = count(F.scaled_dot_product_attention, query, key, value).flop

    # 2 heads, 3 × 5 scores of 8 terms, and as much for the values.
    assert 2 * (2 * 15 * 8) * 2 == counted.product
    assert 0 < counted.overhead


@pytest.mark.parametrize(
    "indices, starts, weights, mode, overhead",
    [
        # Bags of 2 and 1 rows of 6: one add of 6.
        (i(0, 1, 2), i(0, 2), None, "sum", 6),
        # And a multiply of each of 3 rows.
        (i(0, 1, 2), i(0, 2), f(3), "sum", 6 + 18),
        # And a division of each of 2 bags.
        (i(0, 1, 2), i(0, 2), None, "mean", 6 + 12),
        # An empty bag adds nothing, and saves nothing.
        (i(0, 1, 2), i(0, 0, 2), None, "sum", 6),
        (torch.empty(0, dtype=torch.int64), i(0), None, "sum", 0),
    ],
)
def test_a_bag_costs_its_adds_and_multiplies(
    indices: torch.Tensor, starts: torch.Tensor, weights: torch.Tensor | None, mode: str, overhead: int
) -> None:
    counted = count(F.embedding_bag, indices, f(5, 6), starts, mode=mode, per_sample_weights=weights)

    assert Flop(overhead=overhead) == counted.flop
    assert indices.numel() == counted.rows_gathered


@pytest.mark.parametrize(
    "operation, flop",
    [
        (lambda: f(M, N) + f(N), Flop(bias=21)),
        (lambda: f(N) + f(M, N), Flop(bias=21)),
        (lambda: f(M, N).add_(f(N)), Flop(bias=21)),
        (lambda: f(M, N) + f(M, N), Flop(overhead=21)),
        # One token is a batch of one and not a vector: its residual is no bias.
        (lambda: f(1, N) + f(1, N), Flop(overhead=7)),
        (lambda: f(1, N) + f(N), Flop(bias=7)),
        (lambda: f(N) + f(N), Flop(overhead=7)),
        (lambda: f(M, N) + 1.0, Flop(overhead=21)),
        (lambda: torch.add(f(M, N), f(M, N), alpha=2), Flop(overhead=42)),
        (lambda: torch.add(f(M, N), f(N), alpha=2), Flop(bias=21, overhead=21)),
        (lambda: f(M, N) * f(N), Flop(overhead=21)),
        (lambda: f(M, N) / 3, Flop(overhead=21)),
        (lambda: f(M, N).sum(0), Flop(bias=14)),
        (lambda: f(2, M, N).sum((0, 1)), Flop(bias=35)),
        (lambda: f(0, N).sum(0), Flop(bias=0)),
        (lambda: f(M, N).sum(1), Flop(overhead=18)),
        (lambda: f(M, N).sum(), Flop(overhead=20)),
        (lambda: f(M, N).mean(), Flop(overhead=21)),
        (lambda: f(M, N).exp(), Flop(overhead=21)),
        (lambda: torch.tanh(f(M, N)), Flop(overhead=21)),
        (lambda: f(6, N).index_add_(0, i(0, 0, 5), f(M, N)), Flop(overhead=21)),
        (lambda: f(6, N).scatter_add(0, i(0, 5).view(2, 1).expand(2, N), f(2, N)), Flop(overhead=14)),
        (lambda: f(6, N).index_put_((i(0, 0),), f(2, N), accumulate=True), Flop(overhead=14)),
        (lambda: f(6, N).index_put_((i(0, 1),), f(2, N)), Flop()),
    ],
)
def test_arithmetic_costs_one_flop_an_element_in_its_class(operation: Callable[[], object], flop: Flop) -> None:
    counted = count(operation)

    assert flop == counted.flop
    assert 0 == counted.routing_operations


@pytest.mark.parametrize(
    "operation, routing",
    [
        (lambda: f(M, N) > 0, 21),
        (lambda: f(M, N).maximum(f(M, N)), 21),
        (lambda: i(1, 2, 3) + 1, 3),
        (lambda: i(1, 2, 3) * i(1, 2, 3), 3),
        (lambda: i(1, 2, 3) << 1, 3),
        (lambda: i(1, 2, 3) & 1, 3),
        (lambda: i(1, 2, 3).sum(), 2),
        (lambda: (i(1, 0, 3) > 0).sum(), 3 + 2),
        (lambda: f(M, N).argmax(1), 18),
        # 5 keys take 3 levels.
        (lambda: torch.argsort(i(3, 1, 2, 5, 4)), 15),
        (lambda: torch.sort(i(3)), 0),
        (lambda: torch.sort(torch.empty(0, dtype=torch.int64)), 0),
    ],
)
def test_compares_and_index_arithmetic_are_routing_and_no_flop(operation: Callable[[], object], routing: int) -> None:
    counted = count(operation)

    assert Flop() == counted.flop
    assert routing == counted.routing_operations


@pytest.mark.parametrize(
    "operation",
    [
        lambda: f(M, N).t().reshape(-1)[1:].unsqueeze(0).expand(2, -1),
        lambda: f(M, N).double().clone().contiguous(),
        lambda: torch.cat([f(M, N), f(M, N)]),
        lambda: (torch.zeros(3), torch.full((3,), 2.0), torch.arange(4), torch.empty(5), torch.rand(3), torch.randn(3)),
        lambda: f(3).fill_(2.0).zero_().copy_(f(3))[0].item(),
        lambda: f(M, N).chunk(3),
    ],
)
def test_views_copies_casts_and_factories_cost_no_flop_and_no_routing(operation: Callable[[], object]) -> None:
    counted = count(operation)

    assert (Flop(), 0, 0) == (counted.flop, counted.routing_operations, counted.rows_gathered)


@pytest.mark.parametrize(
    "operation, rows",
    [
        (lambda: F.embedding(i(0, 2, 2), f(5, 6)), 3),
        (lambda: f(5, 6).index_select(0, i(0, 2, 2)), 3),
        (lambda: f(5, 6)[i(0, 2, 2)], 3),
        (lambda: f(5, 6)[:, i(0, 2)], 2),
        (lambda: f(5, 6)[i(0, 2), i(1, 1)], 2),
        (lambda: f(5, 6)[torch.tensor([True, False, True, False, False])], 2),
        (lambda: f(5, 6).gather(1, torch.zeros(5, 2, dtype=torch.int64)), 10),
    ],
)
def test_a_gather_costs_rows_and_no_flop(operation: Callable[[], object], rows: int) -> None:
    counted = count(operation)

    assert (Flop(), rows) == (counted.flop, counted.rows_gathered)


def test_the_gradient_of_an_embedding_adds_each_row() -> None:
    table = f(5, 6).requires_grad_()

    counted = count(lambda: differentiate(F.embedding(i(0, 2, 2), table), f(3, 6)))

    assert Flop(overhead=18) == counted.flop


def test_bytes_are_those_of_the_arguments_and_the_output() -> None:
    left, right = f(M, K), f(K, N)

    counted = count(torch.mm, left, right)

    assert (4 * (15 + 35), 4 * 21) == (counted.read_bytes, counted.written_bytes)


def test_a_view_moves_no_bytes() -> None:
    x = f(M, N)

    counted = count(lambda: x.t()[1:].unsqueeze(0))

    assert (0, 0) == (counted.read_bytes, counted.written_bytes)


def test_a_gather_reads_its_rows_and_not_its_table() -> None:
    table, index = f(1000, 6), i(0, 2)

    counted = count(torch.index_select, table, 0, index)

    assert (2 * 6 * 4 + 2 * 8, 2 * 6 * 4) == (counted.read_bytes, counted.written_bytes)


def test_a_row_that_is_expanded_is_read_once() -> None:
    counted = count(torch.mul, f(1, N).expand(100, N), 2.0)

    assert 4 * N == counted.read_bytes
