"""Gradients of touched rows equal the dense ones at visited rows, and name those rows: ascending, each once, padded."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from capratio.cost.spec import ORDERS
from capratio.kernels.cpu import node_groups
from capratio.kernels.leaf_linear import leaf_linear_touched_gradient, leaf_linear_weight_gradient
from capratio.kernels.leaf_linear import reference as leaf_reference
from capratio.kernels.path_bias import path_bias_table_gradient, path_bias_touched_gradient
from capratio.kernels.path_linear import path_linear_touched_gradient, path_linear_weight_gradient
from capratio.kernels.path_linear import reference as path_reference
from capratio.kernels.touched_rows import touched_rows
from capratio.kernels.unit_lookup import unit_lookup_touched_gradient, unit_lookup_weight_gradient

Dense = Callable[..., torch.Tensor]
Touched = Callable[..., tuple[torch.Tensor, torch.Tensor]]
# Touched and dense operation, their arguments but the backend, rows of the table, and look-ups of the batch.
Case = tuple[Touched, Dense, tuple[Any, ...], int, int]

NAMES = ("leaf_linear", "unit_lookup", "path_bias", *(f"path_linear[{order}]" for order in ORDERS))
# Of the largest result: float64 and float32 sums in another order than the reference's, and a result rounded to half.
TOLERANCES = {torch.float64: 1e-13, torch.float32: 2e-5, torch.bfloat16: 2**-8}

shapes = settings(max_examples=25, deadline=None)


def drawn(*shape: int, dtype: torch.dtype = torch.float32, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def whole(rows: int, *shape: int) -> torch.Tensor:
    return torch.randint(0, rows, shape, generator=torch.Generator().manual_seed(7))


def case(name: str, tokens: int, p: int, q: int, depth: int, dtype: torch.dtype = torch.float32) -> Case:
    nodes = 2 ** (depth + 1) - 1
    grad, x = drawn(tokens, q, dtype=dtype, seed=1), drawn(tokens, p, dtype=dtype, seed=2)
    bits, leaf = whole(2, tokens, depth).bool(), whole(2**depth, tokens)
    if name == "leaf_linear":
        arguments = grad, x, whole(nodes, tokens), nodes
        return leaf_linear_touched_gradient, leaf_linear_weight_gradient, arguments, nodes, tokens
    if name == "unit_lookup":
        given = grad, x, whole(nodes, tokens, p, 2), nodes
        return unit_lookup_touched_gradient, unit_lookup_weight_gradient, given, nodes, tokens * p * 2
    if name == "path_bias":
        path = grad, leaf, depth
        return path_bias_touched_gradient, path_bias_table_gradient, path, nodes, tokens * (depth + 1)
    order = name.removeprefix("path_linear[").rstrip("]")
    ordered = grad, x, bits, nodes, order
    return path_linear_touched_gradient, path_linear_weight_gradient, ordered, nodes, tokens * (depth + 1)


def widened(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(
        one.double() if isinstance(one, torch.Tensor) and one.is_floating_point() else one for one in arguments
    )


def visited_rows(arguments: tuple[Any, ...], name: str) -> list[int]:
    """The rows that are looked up, each from its definition."""
    if name in ("leaf_linear", "unit_lookup"):
        return sorted(set(arguments[2].flatten().tolist()))
    if name == "path_bias":
        leaves, depth = arguments[1].tolist(), arguments[2]
        paths = [[leaf >> (depth - bit - 1) & 1 for bit in range(depth)] for leaf in leaves]
    else:
        paths = arguments[2].int().tolist()
        depth = arguments[2].shape[1]
    texts = ["".join(map(str, path)) for path in paths]
    return sorted({2**level - 1 + int("0" + text[:level], 2) for text in texts for level in range(depth + 1)})


def check(name: str, given: Case, backend: str) -> None:
    """Hold a touched gradient against the dense one of the float64 reference."""
    touched, dense, arguments, rows, entries = given
    indices, values = touched(*arguments, backend)
    expected = dense(*widened(arguments), "reference")

    visited = visited_rows(arguments, name)
    most = min(entries, rows)
    assert [*visited, *[rows] * (most - len(visited))] == indices.tolist()
    assert (most, *expected.shape[1:]) == tuple(values.shape)
    assert values.dtype == arguments[0].dtype
    assert torch.equal(values[len(visited) :], torch.zeros_like(values[len(visited) :]))
    largest = float(expected.abs().max()) if expected.numel() else 0.0
    tolerance = TOLERANCES[values.dtype] * max(1.0, largest)
    assert torch.allclose(expected[visited], values[: len(visited)].double(), rtol=0, atol=tolerance)


@pytest.mark.parametrize("backend", ["reference", "cpu"])
def test_the_touched_rows_of_three_tokens_by_hand(backend: str) -> None:
    grad, x = torch.tensor([[1.0], [10.0], [100.0]]), torch.tensor([[2.0], [3.0], [4.0]])

    indices, values = leaf_linear_touched_gradient(grad, x, torch.tensor([6, 1, 6]), 8, backend)

    # Row 1: 10 x 3; row 6: 1 x 2 + 100 x 4; a third row could have been visited.
    assert [1, 6, 8] == indices.tolist()
    assert [30.0, 402.0, 0.0] == values.flatten().tolist()


@pytest.mark.parametrize("backend", ["reference", "cpu"])
def test_the_touched_nodes_of_a_path_by_hand(backend: str) -> None:
    grad = torch.tensor([[1.0], [10.0]])

    indices, values = path_bias_touched_gradient(grad, torch.tensor([3, 2]), 2, backend)

    # Leaves "11" and "10" of depth 2: root 0, node 1 + 1, nodes 3 + 2 and 3 + 3; six look-ups, of 7 rows.
    assert [0, 2, 5, 6, 7, 7] == indices.tolist()
    assert [11.0, 11.0, 10.0, 1.0, 0.0, 0.0] == values.flatten().tolist()


@pytest.mark.parametrize("backend", ["reference", "cpu"])
@pytest.mark.parametrize("name", NAMES)
@shapes
@given(
    tokens=st.integers(0, 120),
    p=st.integers(1, 19),
    q=st.integers(1, 19),
    depth=st.integers(0, 6),
    dtype=st.sampled_from(list(TOLERANCES)),
)
def test_touched_rows_have_the_dense_gradient(
    name: str, backend: str, tokens: int, p: int, q: int, depth: int, dtype: torch.dtype
) -> None:
    check(name, case(name, tokens, p, q, depth, dtype), backend)


@pytest.mark.parametrize("backend", ["grouped-mm", "gather-bmm", "embedding-bag"])
@pytest.mark.parametrize("tokens", [0, 1, 3, 40])
def test_touched_rows_of_a_peer_have_the_dense_gradient(backend: str, tokens: int) -> None:
    name = "unit_lookup" if backend == "embedding-bag" else "leaf_linear"

    check(name, case(name, tokens, 8, 4, 3), backend)


# Where our own kernels add; the library's product may add in another sequence at another address.
@pytest.mark.parametrize("name", ["leaf_linear", "unit_lookup", "path_bias", "path_linear[prefixes]"])
@pytest.mark.parametrize("dtype", TOLERANCES)
def test_both_modes_of_compiled_kernels_are_equal_to_the_bit(name: str, dtype: torch.dtype) -> None:
    touched, dense, arguments, rows, _ = case(name, 40, 9, 11, 4, dtype)

    indices, values = touched(*arguments, "cpu")

    table = torch.zeros(rows, *values.shape[1:], dtype=dtype)
    table[indices[indices < rows]] = values[indices < rows]
    assert torch.equal(dense(*arguments, "cpu"), table)


@pytest.mark.parametrize("backend", ["reference", "cpu"])
@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_made_of_the_size_of_the_table(name: str, backend: str) -> None:
    # A table of 2^41 rows fits no memory; where rows are indices, that many can be named.
    touched, _, arguments, rows, entries = case(name, 5, 3, 2, 40 if "path" in name else 3)
    if "path" not in name:
        rows = 2**41
        arguments = (*arguments[:3], rows)

    indices, values = touched(*arguments, backend)

    assert len(values) == len(indices) == entries
    assert visited_rows(arguments, name) == indices[indices < rows].tolist()


@pytest.mark.parametrize("name", NAMES)
def test_touched_rows_do_not_depend_on_the_number_of_threads(name: str) -> None:
    touched, _, arguments, *_ = case(name, 150, 33, 35, 4)
    before = torch.get_num_threads()

    try:
        torch.set_num_threads(1)
        alone = touched(*arguments, "cpu")
        torch.set_num_threads(2)
        together = touched(*arguments, "cpu")
    finally:
        torch.set_num_threads(before)

    assert all(torch.equal(one, other) for one, other in zip(alone, together, strict=True))


@pytest.mark.parametrize("backend", ["reference", "cpu"])
@pytest.mark.parametrize("name", NAMES)
def test_touched_gradients_take_tensors_that_are_not_contiguous(name: str, backend: str) -> None:
    touched, dense, arguments, rows, entries = case(name, 30, 9, 11, 3, torch.float64)

    apart = tuple(one.repeat_interleave(2, -1)[..., ::2] if isinstance(one, torch.Tensor) else one for one in arguments)

    assert not apart[0].is_contiguous()
    check(name, (touched, dense, apart, rows, entries), backend)


@pytest.mark.parametrize("tokens", [0, 1, 4, 60])
@pytest.mark.parametrize("name", NAMES)
def test_the_size_is_known_before_the_rows_are(name: str, tokens: int) -> None:
    _, _, arguments, *_ = case(name, tokens, 3, 2, 2)
    overload = getattr(torch.ops.capratio, name.split("[")[0] + "_touched_gradient").default

    torch.library.opcheck(overload, (*arguments, "auto"), test_utils=("test_schema", "test_faketensor"))


@pytest.mark.parametrize("name", ["leaf_linear", "path_linear[leaves]", "path_linear[nodes]"])
def test_a_gradient_at_the_place_of_another_row_is_seen(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    given = case(name, 20, 9, 11, 3, torch.float64)
    check(name, given, "reference")

    def flipped(index: torch.Tensor, rows: int) -> tuple[torch.Tensor, torch.Tensor]:
        indices, place = touched_rows(index, rows)
        return indices, place ^ 1

    def swapped(index: torch.Tensor, rows: int) -> tuple[torch.Tensor, torch.Tensor]:
        indices, place = touched_rows(index, rows)
        return indices.roll(1), place

    monkeypatch.setattr(leaf_reference, "touched_rows", flipped)
    monkeypatch.setattr(path_reference, "touched_rows", swapped)

    with pytest.raises(AssertionError):
        check(name, given, "reference")


@pytest.mark.parametrize("name", ["leaf_linear", "unit_lookup"])
def test_a_group_in_the_place_of_another_row_is_seen(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    given = case(name, 20, 9, 11, 3, torch.float64)
    compacted = node_groups.NodeGroups.compacted

    def reversed_keys(groups: node_groups.NodeGroups, rows: int) -> tuple[torch.Tensor, node_groups.NodeGroups]:
        indices, compact = compacted(groups, rows)
        return indices, compact._replace(keys=compact.keys[::-1].copy())

    monkeypatch.setattr(node_groups.NodeGroups, "compacted", reversed_keys)

    with pytest.raises(AssertionError):
        check(name, given, "cpu")


@pytest.mark.parametrize("name", ["path_bias", "path_linear[prefixes]", "path_linear[nodes]"])
def test_a_path_without_its_root_is_seen(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    given = case(name, 20, 9, 11, 3, torch.float64)
    paths = node_groups.NodeGroups.paths

    def below_root(groups: node_groups.NodeGroups, depth: int) -> node_groups.NodeGroups:
        order, *numbers = paths(groups, depth)
        return node_groups.NodeGroups(order, *(number[1:] for number in numbers))

    monkeypatch.setattr(node_groups.NodeGroups, "paths", below_root)

    with pytest.raises(AssertionError):
        check(name, given, "cpu")
