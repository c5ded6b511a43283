"""Every hot product equals its definition, for every dtype, order and shape; a wrong node is seen."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from capratio.cost.spec import ORDERS
from capratio.errors import InputError
from capratio.kernels import routing
from capratio.kernels.hyperplane_bits import hyperplane_bits
from capratio.kernels.leaf_index import leaf_index
from capratio.kernels.leaf_linear import leaf_linear
from capratio.kernels.leaf_linear import reference as leaf_reference
from capratio.kernels.path_bias import path_bias
from capratio.kernels.path_bias import reference as path_bias_reference
from capratio.kernels.path_linear import (
    forms_in_tiles,
    path_linear,
    path_linear_weight_gradient,
    path_matrices,
    resolve_order,
)
from capratio.kernels.path_linear import reference as path_reference
from capratio.kernels.unit_lookup import reference as unit_reference
from capratio.kernels.unit_lookup import unit_lookup

Naive = Callable[..., torch.Tensor]

# Rounding of the inputs is shared with the oracle; what is left is the rounding of the result (and, for half formed in
# float32, little else): a few units of the last place at the size of the sums.
TOLERANCES = {torch.float64: 1e-12, torch.float32: 1e-4, torch.bfloat16: 0.1, torch.float16: 0.02}
DTYPES = tuple(TOLERANCES)
BACKENDS = ("reference", "cpu")
backends_ = st.sampled_from(BACKENDS)

shapes = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
tokens_ = st.integers(0, 9)
sizes_ = st.integers(1, 7)


def close(expected: torch.Tensor, actual: torch.Tensor) -> bool:
    return torch.allclose(expected, actual.double(), rtol=0, atol=TOLERANCES[actual.dtype])


def drawn(*shape: int, dtype: torch.dtype = torch.float64, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def drawn_bits(tokens: int, depth: int) -> torch.Tensor:
    return drawn(tokens, depth, seed=1) > 0


def drawn_rows(rows: int, *shape: int) -> torch.Tensor:
    return torch.randint(0, rows, shape, generator=torch.Generator().manual_seed(2))


def test_leaf_linear_of_two_tokens_by_hand() -> None:
    x = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    weight = torch.tensor([[[9.0, 9.0]], [[1.0, 10.0]], [[2.0, 0.0]]])

    assert [[2.0], [43.0]] == leaf_linear(x, weight, torch.tensor([2, 1])).tolist()


@pytest.mark.parametrize("order", ORDERS)
def test_path_linear_of_two_tokens_by_hand(order: str) -> None:
    # Nodes 1, 10, 100, ... so that a digit of the sum tells which nodes were taken.
    weight = torch.tensor([10.0**node for node in range(7)]).view(7, 1, 1)
    bits = torch.tensor([[True, False], [False, True]])

    out = path_linear(torch.tensor([[1.0], [2.0]]), weight, bits, order)

    # "10": root 0, node 2, node 3 + 2. "01": root 0, node 1, node 3 + 1.
    assert [[100101.0], [20022.0]] == out.tolist()


def test_unit_lookup_of_one_token_by_hand() -> None:
    table = torch.tensor([[1.0], [10.0], [100.0], [1000.0]])

    out = unit_lookup(torch.tensor([[2.0, 3.0]]), table, torch.tensor([[[0, 1], [2, 3]]]))

    assert [[2 * 11.0 + 3 * 1100.0]] == out.tolist()


def test_path_bias_of_one_token_by_hand() -> None:
    table = torch.tensor([[10.0**node] for node in range(7)])

    # Leaf 3 of depth 2 is "11": root 0, node 1 + 1, node 3 + 3.
    assert [[5 + 1 + 100 + 1000000.0]] == path_bias(torch.tensor([[5.0]]), table, torch.tensor([3]), 2).tolist()


def test_hyperplane_bits_are_one_only_above_zero() -> None:
    weight = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, -1.0]])

    bits = hyperplane_bits(torch.tensor([[2.0, -1.0], [0.0, 0.0]]), weight)

    assert [[True, False, True], [False, False, False]] == bits.tolist()


@shapes
@given(tokens=tokens_, p=sizes_, q=sizes_, rows=sizes_, dtype=st.sampled_from(DTYPES), backend=backends_)
def test_leaf_linear_equals_its_definition(
    naive_leaf_linear: Naive, tokens: int, p: int, q: int, rows: int, dtype: torch.dtype, backend: str
) -> None:
    x, weight, node = drawn(tokens, p, dtype=dtype), drawn(rows, q, p, dtype=dtype, seed=3), drawn_rows(rows, tokens)

    out = leaf_linear(x, weight, node, backend)

    assert (tokens, q) == tuple(out.shape)
    assert close(naive_leaf_linear(x, weight, node), out)


@shapes
@given(
    tokens=tokens_,
    p=sizes_,
    q=sizes_,
    depth=st.integers(0, 5),
    order=st.sampled_from(ORDERS),
    dtype=st.sampled_from(DTYPES),
    backend=backends_,
)
def test_path_linear_equals_its_definition(
    naive_path_linear: Naive, tokens: int, p: int, q: int, depth: int, order: str, dtype: torch.dtype, backend: str
) -> None:
    x, weight = drawn(tokens, p, dtype=dtype), drawn(2 ** (depth + 1) - 1, q, p, dtype=dtype, seed=3)
    bits = drawn_bits(tokens, depth)

    out = path_linear(x, weight, bits, order, backend)

    assert (tokens, q) == tuple(out.shape)
    assert close(naive_path_linear(x, weight, bits), out)


@shapes
@given(tokens=tokens_, p=sizes_, q=sizes_, nodes=st.integers(1, 4), dtype=st.sampled_from(DTYPES), backend=backends_)
def test_unit_lookup_equals_its_definition(
    naive_unit_lookup: Naive, tokens: int, p: int, q: int, nodes: int, dtype: torch.dtype, backend: str
) -> None:
    x, table, node = drawn(tokens, p, dtype=dtype), drawn(11, q, dtype=dtype, seed=3), drawn_rows(11, tokens, p, nodes)

    out = unit_lookup(x, table, node, backend)

    assert (tokens, q) == tuple(out.shape)
    assert close(naive_unit_lookup(x, table, node), out)


@shapes
@given(tokens=tokens_, q=sizes_, depth=st.integers(0, 5), dtype=st.sampled_from(DTYPES), backend=backends_)
def test_path_bias_equals_its_definition(
    naive_path_bias: Naive, tokens: int, q: int, depth: int, dtype: torch.dtype, backend: str
) -> None:
    base, table = drawn(tokens, q, dtype=dtype), drawn(2 ** (depth + 1) - 1, q, dtype=dtype, seed=3)
    leaf = drawn_rows(2**depth, tokens)

    out = path_bias(base, table, leaf, depth, backend)

    assert (tokens, q) == tuple(out.shape)
    assert close(naive_path_bias(base, table, leaf, depth), out)


@pytest.mark.parametrize("order", ORDERS)
def test_operations_take_tensors_that_are_not_contiguous(naive_path_linear: Naive, order: str) -> None:
    x, weight, bits = drawn(5, 12).t()[::2], drawn(7, 5, 3).transpose(1, 2), drawn_bits(2, 6).t()

    assert not x.is_contiguous()
    assert close(naive_path_linear(x, weight, bits), path_linear(x, weight, bits, order))


def test_unit_lookup_in_chunks_equals_unit_lookup_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    x, table, node = drawn(7, 3), drawn(11, 2), drawn_rows(11, 7, 3, 2)
    at_once = unit_lookup(x, table, node, "reference")

    # Two tokens of 3 x 2 float64.
    monkeypatch.setattr(unit_reference, "FORMED_BYTES_CAP", 2 * 3 * 2 * 8)

    assert torch.equal(at_once, unit_lookup(x, table, node, "reference"))


@pytest.mark.parametrize("backend", ["reference", "cpu"])
@pytest.mark.parametrize("tokens", [1, 2, 40])
def test_the_automatic_order_runs_the_order_that_it_resolves_to(tokens: int, backend: str) -> None:
    x, weight, bits = drawn(tokens, 5, dtype=torch.float32), drawn(31, 4, 5, dtype=torch.float32), drawn_bits(tokens, 4)
    order = resolve_order("auto", tokens, 5, 4, 4, 4, tiled=forms_in_tiles(backend, weight))

    assert order in ORDERS
    assert torch.equal(path_linear(x, weight, bits, order, backend), path_linear(x, weight, bits, "auto", backend))


def test_path_sums_of_leaves_and_prefixes_are_bit_equal() -> None:
    x, weight, bits = drawn(40, 5, dtype=torch.float32), drawn(31, 4, 5, dtype=torch.float32), drawn_bits(40, 4)

    assert torch.equal(path_linear(x, weight, bits, "leaves"), path_linear(x, weight, bits, "prefixes"))


def test_an_unknown_order_is_refused() -> None:
    with pytest.raises(InputError, match="order='depth-first' is not known; it must be one of auto, leaves"):
        path_linear(drawn(1, 2), drawn(3, 2, 2), drawn_bits(1, 1), "depth-first")


@pytest.mark.parametrize("order", ORDERS)
def test_gradients_of_half_precision_do_not_lose_terms_in_long_sums(order: str) -> None:
    tokens = 4096
    grad, x = torch.ones(tokens, 1, dtype=torch.bfloat16), torch.ones(tokens, 1, dtype=torch.bfloat16)

    gradient = path_linear_weight_gradient(grad, x, drawn_bits(tokens, 5), 63, order)

    # A running bfloat16 sum of ones stops at 256.
    assert tokens == gradient[0].item()


# A planted error: every path but the root takes the node to the right of its own.
def shifted(rows: Callable[[int, int], list[int]]) -> Callable[[int, int], list[int]]:
    return lambda leaf, depth: rows(leaf ^ 1, depth)


@pytest.mark.parametrize("order", ["leaves", "prefixes"])
@pytest.mark.parametrize("tokens", [1, 6])
def test_a_wrong_node_of_a_formed_path_is_seen(
    naive_path_linear: Naive, monkeypatch: pytest.MonkeyPatch, order: str, tokens: int
) -> None:
    x, weight, bits = drawn(tokens, 4), drawn(15, 3, 4), drawn_bits(tokens, 3)

    monkeypatch.setattr(path_matrices, "path_rows", shifted(routing.path_rows))

    assert not close(naive_path_linear(x, weight, bits), path_linear(x, weight, bits, order, "reference"))


def test_a_wrong_node_of_an_applied_path_is_seen(naive_path_linear: Naive, monkeypatch: pytest.MonkeyPatch) -> None:
    x, weight, bits = drawn(6, 4), drawn(15, 3, 4), drawn_bits(6, 3)

    monkeypatch.setattr(path_reference, "group_by_leaf", lambda b: routing.group_by_key(leaf_index(b) ^ 1))

    assert not close(naive_path_linear(x, weight, bits), path_linear(x, weight, bits, "nodes", "reference"))


def test_a_wrong_leaf_is_seen(naive_leaf_linear: Naive, monkeypatch: pytest.MonkeyPatch) -> None:
    x, weight, node = drawn(6, 4), drawn(8, 3, 4), drawn_rows(8, 6)

    monkeypatch.setattr(leaf_reference, "group_by_key", lambda key: routing.group_by_key(key ^ 1))

    assert not close(naive_leaf_linear(x, weight, node), leaf_linear(x, weight, node, "reference"))


def test_a_wrong_node_of_a_path_of_biases_is_seen(naive_path_bias: Naive, monkeypatch: pytest.MonkeyPatch) -> None:
    base, table, leaf = drawn(6, 4), drawn(15, 4), drawn_rows(8, 6)

    monkeypatch.setattr(path_bias_reference, "node_rows", lambda leaf, depth: routing.node_rows(leaf ^ 1, depth))

    assert not close(naive_path_bias(base, table, leaf, 3), path_bias(base, table, leaf, 3, "reference"))
