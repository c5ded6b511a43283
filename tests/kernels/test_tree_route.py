"""tree_route: values to bits, bits to leaves, and tokens sorted by leaf; the same by every implementation."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from capratio.cost import op_formulas
from capratio.errors import InputError
from capratio.kernels.leaf_index import leaf_index
from capratio.kernels.sign_leaf import sign_leaf
from capratio.kernels.tree_route import tree_route

BACKENDS = ("reference", "cpu")


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_route_of_four_tokens_by_hand(backend: str) -> None:
    # Bits 10, 01, 10, 00: leaves 2, 1, 2, 0. A value of zero gives no bit.
    values = torch.tensor([[0.5, -1.0], [0.0, 2.0], [3.0, 0.0], [-1.0, -2.0]])

    route = tree_route(values, backend)

    assert [2, 1, 2, 0] == route.leaf.tolist()
    assert [3, 1, 0, 2] == route.order.tolist()
    # Leaves 0, 1 and 2 begin at 0, 1 and 2; there is no other, and 4 tokens end there.
    assert [0, 1, 2, 4, 4] == route.starts.tolist()


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", [torch.bool, torch.float32, torch.float64, torch.bfloat16, torch.float16])
@given(tokens=st.integers(0, 30), depth=st.integers(0, 6), seed=st.integers(0, 99))
def test_every_leaf_holds_its_tokens_in_their_order(
    backend: str, dtype: torch.dtype, tokens: int, depth: int, seed: int
) -> None:
    values = torch.randn(tokens, depth, generator=torch.Generator().manual_seed(seed)).to(dtype)

    leaf, order, starts = tree_route(values, backend)

    expected = [int("0" + "".join("1" if value > 0 else "0" for value in row), 2) for row in values.tolist()]
    assert expected == leaf.tolist()
    assert sorted(range(tokens), key=lambda token: (expected[token], token)) == order.tolist()
    assert min(tokens, 2**depth) + 1 == len(starts)
    sorted_leaves = [expected[token] for token in order.tolist()]
    visited = sorted(set(expected))
    assert [sorted_leaves.index(one) for one in visited] == starts[: len(visited)].tolist()
    assert {tokens} == set(starts[len(visited) :].tolist())


@pytest.mark.parametrize("backend", BACKENDS)
def test_leaves_of_units_are_those_of_their_own_bits(backend: str) -> None:
    bits = torch.tensor([[[True, False], [False, True]], [[True, True], [False, False]]])

    assert [[2, 1], [3, 0]] == leaf_index(bits, backend).tolist()
    assert (2, 0) == tuple(leaf_index(bits[:, :0], backend).shape)


@pytest.mark.parametrize("backend", BACKENDS)
def test_leaves_of_signs_by_hand(backend: str) -> None:
    x = torch.tensor([[0.5, -1.0, 2.0], [0.0, 3.0, -2.0]])

    # Features 2, 0: bits 11 and 00. The second unit's 1, 2: bits 01 and 10.
    assert [3, 0] == sign_leaf(x, torch.tensor([2, 0]), backend).tolist()
    assert [[3, 1], [0, 2]] == sign_leaf(x, torch.tensor([[2, 0], [1, 2]]), backend).tolist()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
@given(tokens=st.integers(0, 30), depth=st.integers(0, 6), units=st.integers(1, 5), seed=st.integers(0, 99))
def test_compiled_leaves_of_signs_equal_the_reference(
    dtype: torch.dtype, tokens: int, depth: int, units: int, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(tokens, 7, generator=generator).to(dtype)
    chosen = torch.randint(0, 7, (units, depth), generator=generator)

    assert torch.equal(sign_leaf(x, chosen, "reference"), sign_leaf(x, chosen, "cpu"))
    assert torch.equal(sign_leaf(x, chosen[0], "reference"), sign_leaf(x, chosen[0], "cpu"))


def test_a_feature_that_the_tokens_have_not_is_refused() -> None:
    with pytest.raises(InputError, match="the index 3 was given into a table of 3 rows"):
        sign_leaf(torch.ones(1, 3), torch.tensor([0, 3]), "cpu")


def test_torch_finds_schema_and_fake_kernel_consistent() -> None:
    checks = ("test_schema", "test_faketensor")
    for tokens, depth in ((5, 2), (2, 3), (0, 2), (3, 0)):
        chosen = torch.zeros(4, depth, dtype=torch.int64)
        torch.library.opcheck(
            torch.ops.capratio.sign_leaf.default, (torch.randn(tokens, 3), chosen, "auto"), test_utils=checks
        )
        torch.library.opcheck(
            torch.ops.capratio.tree_route.default,
            (torch.randn(tokens, depth), "auto"),
            test_utils=checks,
        )


def test_a_route_compiles_without_a_graph_break() -> None:
    values = torch.randn(9, 3)
    torch._dynamo.reset()

    compiled = torch.compile(lambda given: tree_route(given).order, fullgraph=True, backend="eager")

    assert torch.equal(tree_route(values).order, compiled(values))


def test_the_steps_of_a_route_are_compares_shifts_adds_and_a_sort() -> None:
    # 4 tokens of 3 bits: 12 compares, 3 shifts and 2 adds each, and a sort of 4 keys in 2 rounds.
    assert 12 + 4 * 5 + 4 * 2 == op_formulas.tree_route(4, 3, itemsize=4).routing_operations
