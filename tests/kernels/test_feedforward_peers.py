"""Published fast feedforward layers give what their formulas say, and say what they cannot do."""

import importlib
import sys
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import gelu

from capratio.errors import InputError
from capratio.kernels.leaf_feedforward import leaf_feedforward
from capratio.kernels.leaf_feedforward import reference as leaf_reference
from capratio.kernels.path_feedforward import path_feedforward
from capratio.kernels.path_feedforward import reference as path_reference

Tables = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]

sizes = settings(max_examples=25, deadline=None)


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def leaf_tables(p: int, q: int, depth: int, hidden: int) -> Tables:
    leaves = 2**depth
    shapes = ((leaves - 1, p), (leaves - 1,), (leaves, hidden, p), (leaves, hidden), (leaves, q, hidden))
    first, second, third, fourth, fifth = (drawn(*shape, seed=seed) for seed, shape in enumerate(shapes, start=1))
    return first, second, third, fourth, fifth


def close(expected: torch.Tensor, actual: torch.Tensor) -> bool:
    return torch.allclose(expected, actual, rtol=1e-4, atol=1e-4)


@sizes
@given(
    tokens=st.integers(0, 9),
    p=st.integers(1, 17),
    q=st.integers(1, 7),
    depth=st.integers(1, 5),
    hidden=st.integers(1, 5),
)
def test_the_package_computes_what_the_reference_computes(tokens: int, p: int, q: int, depth: int, hidden: int) -> None:
    pytest.importorskip("fastfeedforward", reason="the extra peers is not installed")
    x, tables = drawn(tokens, p), leaf_tables(p, q, depth, hidden)

    assert close(leaf_feedforward(x, *tables), leaf_feedforward(x, *tables, "fastfeedforward"))


@sizes
@given(tokens=st.integers(0, 9), p=st.integers(1, 17), q=st.integers(1, 7), depth=st.integers(0, 5))
def test_the_published_algorithm_computes_what_the_reference_computes(tokens: int, p: int, q: int, depth: int) -> None:
    nodes = 2 ** (depth + 1) - 1
    x, weight_in, weight_out = drawn(tokens, p), drawn(nodes, p, seed=1), drawn(nodes, q, seed=2)

    assert close(
        path_feedforward(x, weight_in, weight_out), path_feedforward(x, weight_in, weight_out, "ultrafastbert")
    )


def test_a_leaf_network_by_hand() -> None:
    # One hyperplane, x - 1 > 0; the leaves are relu(2x + 1) · 10 and relu(-x + 5) · 100.
    tables = (
        torch.tensor([[1.0]]),
        torch.tensor([-1.0]),
        torch.tensor([[[2.0]], [[-1.0]]]),
        torch.tensor([[1.0], [5.0]]),
        torch.tensor([[[10.0]], [[100.0]]]),
    )

    out = leaf_feedforward(torch.tensor([[0.5], [2.0], [7.0], [-3.0]]), *tables)

    assert [[20.0], [300.0], [0.0], [0.0]] == out.tolist()


def test_a_path_of_neurons_by_hand() -> None:
    # Neurons 1, -1, 2 of one feature: x = 3 goes from the root to the right child, x = -3 to the left one.
    weight_in, weight_out = torch.tensor([[1.0], [-1.0], [2.0]]), torch.tensor([[1.0], [10.0], [100.0]])

    out = path_feedforward(torch.tensor([[3.0], [-3.0]]), weight_in, weight_out)

    values = gelu(torch.tensor([3.0, 6.0, -3.0]))
    assert torch.allclose(torch.stack([values[0] + 100 * values[1], values[2] + 10 * values[0]]), out.flatten())


def test_an_offset_left_out_or_a_wrong_child_is_seen() -> None:
    x, tables = drawn(20, 6), leaf_tables(6, 3, 3, 2)
    expected = leaf_feedforward(x, *tables)

    without_offsets = leaf_feedforward(x, tables[0], torch.zeros(7), *tables[2:])
    mirrored = leaf_feedforward(x, -tables[0], -tables[1], *tables[2:])

    assert not close(expected, without_offsets)
    assert not close(expected, mirrored)


def test_what_the_package_cannot_do_is_refused_in_a_sentence() -> None:
    pytest.importorskip("fastfeedforward", reason="the extra peers is not installed")
    tables = leaf_tables(4, 3, 2, 2)

    with pytest.raises(InputError, match=r"'fastfeedforward' was given torch.float64; its outputs are float32"):
        leaf_feedforward(drawn(2, 4).double(), *tables, "fastfeedforward")
    with pytest.raises(InputError, match="'fastfeedforward' was given depth 0"):
        leaf_feedforward(drawn(2, 4), *leaf_tables(4, 3, 0, 2), "fastfeedforward")


def test_a_package_that_is_missing_is_said_to_be_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fastfeedforward", None)
    monkeypatch.delitem(sys.modules, "capratio.kernels.leaf_feedforward.fastfeedforward", raising=False)

    with pytest.raises(
        InputError, match=r"needs the package fastfeedforward, which is not installed.*capratio\[peers\]"
    ):
        importlib.import_module("capratio.kernels.leaf_feedforward.fastfeedforward")


def test_a_gradient_is_refused_before_anything_runs() -> None:
    tables = leaf_tables(4, 3, 2, 2)

    with pytest.raises(InputError, match=r"gives no gradients; call it under torch.inference_mode"):
        leaf_feedforward(drawn(2, 4).requires_grad_(), *tables)
    with pytest.raises(InputError, match=r"'ultrafastbert' gives no gradients"):
        path_feedforward(drawn(2, 4), drawn(3, 4).requires_grad_(), drawn(3, 5), "ultrafastbert")
    with torch.no_grad():
        assert (2, 5) == tuple(path_feedforward(drawn(2, 4).requires_grad_(), drawn(3, 4), drawn(3, 5)).shape)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_types_are_widened_for_sums(dtype: torch.dtype) -> None:
    x, tables = drawn(6, 9), leaf_tables(9, 4, 3, 3)
    weight_in, weight_out = drawn(7, 9, seed=1), drawn(7, 4, seed=2)

    def same(operation: Any, *arguments: torch.Tensor) -> bool:
        rounded = [argument.to(dtype) for argument in arguments]
        wide = operation(*(argument.double() for argument in rounded))
        return torch.allclose(wide, operation(*rounded).double(), rtol=2 * torch.finfo(dtype).eps, atol=1e-4)

    assert same(leaf_reference.leaf_feedforward, x, *tables)
    assert same(path_reference.path_feedforward, x, weight_in, weight_out)
