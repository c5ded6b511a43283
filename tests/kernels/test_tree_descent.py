"""A way down a tree is the one that a walk by hand takes, in every implementation; a wrong child is seen."""

from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import flop_registry

from capratio.cost.operation import OperationFormula
from capratio.errors import InputError
from capratio.kernels.tree_descent import neuron_path, reference, tree_descent

BACKENDS = ("reference", "cpu")


def drawn(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def walk(
    row: list[float], weight: list[list[float]], offset: list[float], decisions: int
) -> tuple[list[int], list[float]]:
    """Nodes and scores of one token, in plain numbers; the last node is where the last decision leads."""
    nodes, scores = [0], []
    for _ in range(decisions):
        score = offset[nodes[-1]]
        for w, x in zip(weight[nodes[-1]], row, strict=True):
            score += w * x
        scores.append(score)
        # Left and right child of node n in level order.
        nodes.append(2 * nodes[-1] + 2 if score > 0 else 2 * nodes[-1] + 1)
    return nodes, scores


sizes = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.parametrize("backend", BACKENDS)
@sizes
@given(tokens=st.integers(0, 9), p=st.integers(1, 19), depth=st.integers(0, 5), seed=st.integers(0, 99))
def test_a_leaf_is_where_a_walk_by_hand_ends(backend: str, tokens: int, p: int, depth: int, seed: int) -> None:
    x, weight, offset = drawn(tokens, p, seed=seed), drawn(2**depth - 1, p, seed=seed + 1), drawn(2**depth - 1)

    leaf = tree_descent(x, weight, offset, depth, backend)

    ends = [walk(row, weight.tolist(), offset.tolist(), depth)[0][-1] for row in x.tolist()]
    assert torch.int64 == leaf.dtype
    assert [end - (2**depth - 1) for end in ends] == leaf.tolist()


@pytest.mark.parametrize("backend", BACKENDS)
@sizes
@given(tokens=st.integers(0, 9), p=st.integers(1, 19), depth=st.integers(0, 5), seed=st.integers(0, 99))
def test_neurons_on_a_way_are_those_of_a_walk_by_hand(backend: str, tokens: int, p: int, depth: int, seed: int) -> None:
    x, weight = drawn(tokens, p, seed=seed), drawn(2 ** (depth + 1) - 1, p, seed=seed + 1)

    node, value = neuron_path(x, weight, depth, backend)

    ways = [walk(row, weight.tolist(), [0.0] * len(weight), depth + 1) for row in x.tolist()]
    assert [nodes[:-1] for nodes, _ in ways] == node.tolist()
    assert torch.allclose(torch.tensor([scores for _, scores in ways]).view(value.shape).double(), value, atol=1e-5)
    assert (tokens, depth + 1) == tuple(value.shape)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_every_dtype_decides_as_its_rounded_values_do(backend: str, dtype: torch.dtype) -> None:
    x, weight, offset = drawn(50, 33, dtype=dtype), drawn(31, 33, seed=1, dtype=dtype), drawn(31, seed=2, dtype=dtype)

    # A score within rounding of zero would be anyone's; none of these is.
    leaf = tree_descent(x, weight, offset, 5, backend)

    assert torch.equal(tree_descent(x.double(), weight.double(), offset.double(), 5, "reference"), leaf)
    node, value = neuron_path(x, weight, 4, backend)
    wide_node, wide_value = neuron_path(x.double(), weight.double(), 4, "reference")
    assert torch.equal(wide_node, node)
    assert dtype == value.dtype
    assert torch.allclose(wide_value, value.double(), rtol=2 * torch.finfo(dtype).eps, atol=1e-5)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_score_of_zero_goes_left(backend: str) -> None:
    # Offsets of zero, and a token that every hyperplane holds.
    x = torch.zeros(1, 3)

    assert [0] == tree_descent(x, drawn(7, 3).float(), torch.zeros(7), 3, backend).tolist()
    assert [[0, 1, 3]] == neuron_path(x, drawn(7, 3).float(), 2, backend)[0].tolist()


def test_an_input_that_is_not_contiguous_takes_the_same_way() -> None:
    x, weight, offset = drawn(5, 9).t(), drawn(15, 5, seed=1), drawn(15, seed=2)

    for backend in BACKENDS:
        assert torch.equal(
            tree_descent(x.contiguous(), weight, offset, 4, backend), tree_descent(x, weight, offset, 4, backend)
        )


def test_a_wrong_child_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    x, weight, offset = drawn(20, 6), drawn(15, 6, seed=1), drawn(15, seed=2)
    right, way = tree_descent(x, weight, offset, 4, "cpu"), neuron_path(x, weight, 3, "cpu")[0]
    assert torch.equal(right, tree_descent(x, weight, offset, 4, "reference"))

    # Left for right.
    monkeypatch.setattr(reference, "_child", lambda node, value: 2 * node + 1 + (value <= 0))

    assert not torch.equal(right, tree_descent(x, weight, offset, 4, "reference"))
    assert not torch.equal(way, neuron_path(x, weight, 3, "reference")[0])


@pytest.mark.parametrize("backend", BACKENDS)
def test_values_have_the_gradients_of_their_products(backend: str) -> None:
    x, weight = drawn(6, 5).requires_grad_(), drawn(7, 5, seed=1).requires_grad_()

    def values(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        return neuron_path(x, weight, 2, backend)[1]

    assert torch.autograd.gradcheck(values, (x, weight))
    assert torch.autograd.gradgradcheck(values, (x, weight))


def test_a_leaf_has_no_gradient() -> None:
    x = drawn(6, 5).requires_grad_()

    leaf = tree_descent(x, drawn(7, 5).requires_grad_(), drawn(7).requires_grad_(), 3)

    assert not leaf.requires_grad


@pytest.mark.parametrize("nodes", [3, 8])
def test_another_number_of_nodes_is_refused(nodes: int) -> None:
    with pytest.raises(InputError, match=f"weight of {nodes} rows for a path through 3 levels; give 7"):
        tree_descent(drawn(2, 5), drawn(nodes, 5), drawn(nodes), 3)

    with pytest.raises(InputError, match=f"weight of {nodes} rows for a path through 3 levels; give 7"):
        neuron_path(drawn(2, 5), drawn(nodes, 5), 2)


@sizes
@given(tokens=st.integers(0, 9), p=st.integers(1, 9), depth=st.integers(0, 4))
def test_formulas_equal_what_the_plain_reference_runs(aten_count: Any, tokens: int, p: int, depth: int) -> None:
    x, weight, offset = drawn(tokens, p), drawn(2**depth - 1, p), drawn(2**depth - 1)
    neurons = drawn(2 ** (depth + 1) - 1, p)
    with aten_count() as descent:
        reference.tree_descent(x, weight, offset, depth)
    with aten_count() as path:
        reference.neuron_path(x, neurons, depth)

    gating, product = _flop("tree_descent", x, weight, offset, depth), _flop("neuron_path", x, neurons, depth)

    assert gating.gating == gating.total == descent.product + descent.other
    assert product.product == product.total == path.product + path.other


def _flop(name: str, *arguments: Any) -> Any:
    formula = flop_registry[getattr(torch.ops.capratio, name)]
    assert isinstance(formula, OperationFormula)
    return formula.cost(*arguments, "reference", out_val=None).flop
