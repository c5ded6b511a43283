"""A bag of rows equals its definition, forward and backward, on every backend; only visited rows have a gradient."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck, gradgradcheck

from capratio.kernels.row_lookup import (
    reference,
    row_lookup,
    row_lookup_share_gradient,
    row_lookup_table_gradient,
    row_lookup_touched_gradient,
)
from capratio.kernels.touched_rows import touched_rows

ROWS = 11
BACKENDS = ("reference", "cpu", "embedding-bag")
# Of sums of up to 40 terms of the size of 1.
TOLERANCES = {torch.float64: 1e-12, torch.float32: 1e-4, torch.bfloat16: 0.15, torch.float16: 0.02}

shapes = settings(max_examples=30, deadline=None)
bags = given(
    tokens=st.integers(0, 8),
    lookups=st.integers(0, 6),
    # Under and over what the library takes, whole stripes and not.
    features=st.sampled_from((1, 7, 33, 128, 150, 256)),
    shared=st.booleans(),
    dtype=st.sampled_from(list(TOLERANCES)),
    backend=st.sampled_from(BACKENDS),
)
Share = torch.Tensor | None


def drawn(*shape: int, dtype: torch.dtype = torch.float64, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def drawn_rows(*shape: int) -> torch.Tensor:
    return torch.randint(0, ROWS, shape, generator=torch.Generator().manual_seed(2))


def naive(table: torch.Tensor, row: torch.Tensor, share: Share) -> torch.Tensor:
    """The definition, a look-up at a time, in float64."""
    sums = [torch.zeros(table.shape[1], dtype=torch.float64) for _ in row]
    for n in range(row.shape[0]):
        for j in range(row.shape[1]):
            factor = 1.0 if share is None else share[n, j].double()
            sums[n] = sums[n] + factor * table[row[n, j]].double()
    return torch.stack(sums) if sums else torch.zeros(0, table.shape[1], dtype=torch.float64)


def bag(
    tokens: int, lookups: int, features: int, shared: bool, dtype: torch.dtype = torch.float64
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, Share]:
    """A gradient of the output, a table, rows and shares."""
    share = drawn(tokens, lookups, dtype=dtype, seed=3) if shared else None
    table, grad = drawn(ROWS, features, dtype=dtype, seed=4), drawn(tokens, features, dtype=dtype, seed=5)
    return grad, table, drawn_rows(tokens, lookups), share


def close(expected: torch.Tensor, actual: torch.Tensor) -> bool:
    return expected.shape == actual.shape and torch.allclose(
        expected, actual.double(), rtol=0, atol=TOLERANCES[actual.dtype]
    )


@pytest.mark.parametrize("backend", BACKENDS)
def test_two_bags_by_hand(backend: str) -> None:
    table = torch.tensor([[1.0], [10.0], [100.0]])
    row, share = torch.tensor([[2, 0, 2], [1, 1, 0]]), torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])

    assert [[201.0], [21.0]] == row_lookup(table, row, backend=backend).tolist()
    assert [[402.0], [96.0]] == row_lookup(table, row, share, backend).tolist()


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("features", [1, 128, 150])
@pytest.mark.parametrize("shared", [False, True])
def test_bags_of_no_rows_are_zero(shared: bool, features: int, backend: str) -> None:
    grad, table, row, share = bag(3, 0, features, shared)

    assert torch.equal(torch.zeros(3, features, dtype=torch.float64), row_lookup(table, row, share, backend))
    assert not row_lookup_table_gradient(grad, row, share, ROWS, backend).any()
    assert (3, 0) == tuple(row_lookup_share_gradient(grad, table, row, backend).shape)


@shapes
@bags
def test_a_bag_equals_its_definition(
    tokens: int, lookups: int, features: int, shared: bool, dtype: torch.dtype, backend: str
) -> None:
    _, table, row, share = bag(tokens, lookups, features, shared, dtype)

    out = row_lookup(table, row, share, backend)

    assert dtype == out.dtype
    assert close(naive(table, row, share), out)


@shapes
@bags
def test_gradients_equal_those_of_the_definition(
    tokens: int, lookups: int, features: int, shared: bool, dtype: torch.dtype, backend: str
) -> None:
    grad, table, row, share = bag(tokens, lookups, features, shared, dtype)
    wide_table, wide_share = table.double().requires_grad_(), None if share is None else share.double().requires_grad_()
    of = [wide_table] if wide_share is None else [wide_table, wide_share]
    if tokens * lookups:
        expected = torch.autograd.grad(naive(wide_table, row, wide_share), of, grad.double())
    else:
        expected = tuple(torch.zeros_like(one) for one in of)

    given = [table.requires_grad_()] if share is None else [table.requires_grad_(), share.requires_grad_()]
    got = torch.autograd.grad(row_lookup(table, row, share, backend), given, grad)

    assert all(close(one, other) for one, other in zip(expected, got, strict=True))


@shapes
@bags
def test_touched_rows_are_those_that_are_visited_and_have_the_dense_gradient(
    tokens: int, lookups: int, features: int, shared: bool, dtype: torch.dtype, backend: str
) -> None:
    grad, _, row, share = bag(tokens, lookups, features, shared, dtype)
    visited = sorted(set(row.flatten().tolist()))
    most = min(row.numel(), ROWS)

    indices, values = row_lookup_touched_gradient(grad, row, share, ROWS, backend)
    dense = row_lookup_table_gradient(grad, row, share, ROWS, backend)

    assert [*visited, *[ROWS] * (most - len(visited))] == indices.tolist()
    assert (most, features) == tuple(values.shape)
    assert close(dense[visited].double(), values[: len(visited)])
    assert not values[len(visited) :].any()
    assert not dense[[row for row in range(ROWS) if row not in visited]].any()
    if backend == "cpu":
        assert torch.equal(dense[visited], values[: len(visited)])


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("shared", [False, True])
def test_a_touched_gradient_is_coalesced_and_equals_the_dense_one(shared: bool, backend: str) -> None:
    grad, table, row, share = bag(6, 3, 5, shared)
    table.requires_grad_()

    (touched,) = torch.autograd.grad(row_lookup(table, row, share, backend, "touched"), table, grad)
    (dense,) = torch.autograd.grad(row_lookup(table, row, share, backend), table, grad)

    assert touched.is_sparse
    assert touched.is_coalesced()
    assert sorted(set(row.flatten().tolist())) == touched.indices()[0].tolist()
    assert torch.allclose(dense, touched.to_dense(), rtol=0, atol=1e-12)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("tokens", [0, 3])
def test_first_and_second_gradients_equal_finite_differences(tokens: int, shared: bool, backend: str) -> None:
    grad, table, row, share = bag(tokens, 3, 2, shared)
    numbers = [table.requires_grad_(), grad.requires_grad_(), *([] if share is None else [share.requires_grad_()])]

    def lookup(table: torch.Tensor, grad: torch.Tensor, *share: torch.Tensor) -> torch.Tensor:
        return row_lookup(table, row, share[0] if share else None, backend)

    def to_table(table: torch.Tensor, grad: torch.Tensor, *share: torch.Tensor) -> torch.Tensor:
        return row_lookup_table_gradient(grad, row, share[0] if share else None, ROWS, backend)

    def to_share(table: torch.Tensor, grad: torch.Tensor, *share: torch.Tensor) -> torch.Tensor:
        return row_lookup_share_gradient(grad, table, row, backend)

    for operation in (lookup, to_table, to_share):
        assert gradcheck(operation, tuple(numbers))
        assert gradgradcheck(operation, tuple(numbers))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("backend", ["reference", "cpu"])
@pytest.mark.parametrize("shared", [False, True])
def test_results_do_not_depend_on_repetition_or_threads(shared: bool, backend: str, dtype: torch.dtype) -> None:
    grad, table, row, share = bag(150, 9, 130, shared, dtype)

    def run(threads: int) -> list[torch.Tensor]:
        torch.set_num_threads(threads)
        out = row_lookup(table, row, share, backend)
        indices, values = row_lookup_touched_gradient(grad, row, share, ROWS, backend)
        return [out, indices, values, row_lookup_share_gradient(grad, table, row, backend)]

    try:
        first, *others = (run(threads) for threads in (1, 2, 2, 1))
    finally:
        torch.set_num_threads(1)

    assert all(torch.equal(one, two) for other in others for one, two in zip(first, other, strict=True))


@pytest.mark.parametrize("backend", ["reference", "cpu"])
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("features", [1, 128])
def test_half_types_are_summed_in_float32(features: int, shared: bool, backend: str) -> None:
    # A running bfloat16 sum of ones stops at 256.
    ones = torch.ones(1, 4096, dtype=torch.bfloat16)
    table, row = torch.ones(1, features, dtype=torch.bfloat16), torch.zeros(1, 4096, dtype=torch.int64)
    share = ones if shared else None

    assert 4096 == row_lookup(table, row, share, backend)[0, -1].item()
    grad = torch.ones(4096, features, dtype=torch.bfloat16)
    shares = None if share is None else ones.t()
    assert 4096 == row_lookup_table_gradient(grad, row.t(), shares, 1, backend)[0, -1].item()


@pytest.mark.parametrize("backend", BACKENDS)
def test_tensors_need_not_be_contiguous(backend: str) -> None:
    grad, table, row, share = (
        one.repeat_interleave(2, -1)[..., ::2] for one in bag(6, 3, 150, True) if one is not None
    )
    expected = naive(table, row, share)

    assert not table.is_contiguous()
    assert close(expected, row_lookup(table, row, share, backend))
    for name, arguments in (
        ("row_lookup_share_gradient", (grad, table, row)),
        ("row_lookup_table_gradient", (grad, row, share, ROWS)),
    ):
        plain = tuple(one.contiguous() if isinstance(one, torch.Tensor) else one for one in arguments)
        assert close(getattr(reference, name)(*plain), getattr(torch.ops.capratio, name)(*arguments, backend))


def test_a_table_larger_than_any_memory_has_a_touched_gradient() -> None:
    grad, _, row, share = bag(4, 3, 5, True)

    for backend in ("reference", "cpu"):
        indices, values = row_lookup_touched_gradient(grad, row, share, 2**41, backend)
        assert 12 == len(values) == len(indices)
        assert sorted(set(row.flatten().tolist())) == indices[indices < 2**41].tolist()


def test_bags_in_chunks_equal_bags_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    grad, table, row, share = bag(7, 3, 2, True)
    calls: list[Callable[[], Any]] = [
        lambda: row_lookup(table, row, share, "reference"),
        lambda: row_lookup_share_gradient(grad, table, row, "reference"),
        lambda: row_lookup_table_gradient(grad, row, share, ROWS, "reference"),
    ]
    at_once = [call() for call in calls]

    # Two tokens of 3 rows of 2 float64.
    monkeypatch.setattr(reference, "GATHERED_BYTES_CAP", 2 * 3 * 2 * 8)

    assert all(torch.equal(one, call()) for one, call in zip(at_once, calls, strict=True))


def test_a_gradient_at_the_place_of_another_row_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    grad, _, row, share = bag(6, 3, 5, True)
    dense = row_lookup_table_gradient(grad, row, share, ROWS, "reference")

    def flipped(index: torch.Tensor, rows: int) -> tuple[torch.Tensor, torch.Tensor]:
        indices, place = touched_rows(index, rows)
        return indices, (place + 1) % len(indices)

    monkeypatch.setattr(reference, "touched_rows", flipped)
    indices, values = row_lookup_touched_gradient(grad, row, share, ROWS, "reference")

    visited = indices < ROWS
    assert not close(dense[indices[visited]], values[visited])
