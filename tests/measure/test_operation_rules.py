"""Rules outside of products: arithmetic by element, reductions, routing, and the bytes of what only moves."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from capratio.cost.flop import Flop
from capratio.cost.operation import OperationCost
from capratio.measure.flop_counter import RULES, count_operations, is_view, rule_of


def cost(call: Any) -> OperationCost:
    return count_operations(call, strict=True).cost


def ones(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    # Made outside of the counted call, so that making it is not counted.
    return torch.ones(*shape, dtype=dtype)


X, V, INTEGERS, BITS = ones(4, 3), ones(3), ones(4, 3, dtype=torch.int64), ones(4, 3).bool()
INDEX, NO_INDEX = torch.tensor([0, 2, 2]), torch.tensor([], dtype=torch.int64)


@pytest.mark.parametrize(
    "name, call, expected",
    [
        ("multiply", lambda: X * X, Flop(overhead=12)),
        ("scale", lambda: X * 2.0, Flop(overhead=12)),
        ("add a tensor", lambda: X + X, Flop(overhead=12)),
        ("add a scaled tensor", lambda: torch.add(X, X, alpha=3), Flop(overhead=24)),
        ("add a vector to every row", lambda: X + V, Flop(bias=12)),
        ("add every row to a vector", lambda: V + X, Flop(bias=12)),
        ("add a vector to a vector", lambda: V + V, Flop(overhead=3)),
        ("add one number", lambda: X + 1.0, Flop(overhead=12)),
        ("in place", lambda: X.clone().add_(X), Flop(overhead=12)),
        ("multiply and add", lambda: torch.addcmul(X, X, X), Flop(overhead=24)),
        ("exponential", lambda: X.exp(), Flop(overhead=12)),
        ("silu", lambda: F.silu(X), Flop(overhead=24)),
        ("relu chooses", lambda: X.relu(), Flop()),
        ("sum of all", lambda: X.sum(), Flop(overhead=11)),
        ("sum within rows", lambda: X.sum(1), Flop(overhead=8)),
        ("sum of rows to one", lambda: X.sum(0), Flop(bias=9)),
        ("sum of rows of rows to one", lambda: X.view(2, 2, 3).sum((0, 1), keepdim=True), Flop(bias=9)),
        ("sum of the middle", lambda: X.view(2, 2, 3).sum(1), Flop(overhead=6)),
        ("sum of nothing", lambda: X[:0].sum(0), Flop()),
        ("mean divides", lambda: X.mean(1), Flop(overhead=8 + 4)),
        ("running sum", lambda: X.cumsum(0), Flop(overhead=9)),
        ("softmax", lambda: X.softmax(1), Flop(overhead=4 * 12 - 4)),
        ("log softmax", lambda: X.log_softmax(1), Flop(overhead=4 * 12)),
        ("layer norm", lambda: F.layer_norm(X, (3,)), Flop(overhead=5 * 12 + 2 * 4)),
        ("squared error", lambda: F.mse_loss(X, X + 0), Flop(overhead=12 + 36)),
        ("indexed add", lambda: X.clone().index_add_(0, INDEX, X[:3]), Flop(overhead=9)),
        ("scaled indexed add", lambda: X.clone().index_add_(0, INDEX, X[:3], alpha=2), Flop(overhead=18)),
        ("scattered add", lambda: X.scatter_add(0, INTEGERS[:2], X), Flop(overhead=6)),
        ("accumulating put", lambda: X.index_put((INDEX,), V, accumulate=True), Flop(overhead=9)),
        ("plain put", lambda: X.index_put((INDEX,), V), Flop()),
        ("gather", lambda: X[INDEX], Flop()),
        ("copy and cast", lambda: X.double().clone(), Flop()),
        ("make", lambda: torch.zeros(3, 3), Flop()),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_floating_point_arithmetic_is_counted_by_hand(name: str, call: Any, expected: Flop) -> None:
    assert expected == cost(call).flop


@pytest.mark.parametrize(
    "name, call, expected",
    [
        ("compare", lambda: X > 0, 12),
        ("choose", lambda: torch.where(BITS, X, X), 12),
        ("clamp", lambda: X.clamp(0, 1), 12),
        ("integer multiply", lambda: INTEGERS * 2, 12),
        ("integer sum", lambda: INTEGERS.sum(1), 8),
        ("sum of booleans", lambda: BITS.sum(1), 8),
        ("running integer sum", lambda: INTEGERS.cumsum(0), 9),
        ("shift", lambda: INTEGERS << 1, 12),
        ("largest of each row", lambda: X.argmax(1), 8),
        ("largest of two tensors", lambda: torch.max(X, X), 12),
        # 3 rows of 4: 4 · ⌈log2 4⌉ each.
        ("sort", lambda: X.sort(0), 3 * 8),
        ("order", lambda: torch.argsort(INDEX), 3 * 2),
        ("count", lambda: torch.bincount(INDEX), 3),
        # Halving 4 bounds takes 3 steps.
        ("search", lambda: torch.searchsorted(ones(4), V), 3 * 3),
        ("integer indexed add", lambda: INTEGERS.clone().index_add_(0, INDEX, INTEGERS[:3]), 9),
        ("accumulating integer put", lambda: INTEGERS.index_put((INDEX,), V.long(), accumulate=True), 9),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_compares_and_integer_arithmetic_are_routing_and_no_flop(name: str, call: Any, expected: int) -> None:
    counted = cost(call)

    assert (Flop(), expected) == (counted.flop, counted.routing_operations)


@pytest.mark.parametrize(
    "name, call, read, written, rows",
    [
        ("view", lambda: X.t()[1:].unsqueeze(0).expand(5, 2, 4), 0, 0, 0),
        ("allocate", lambda: torch.empty(9), 0, 0, 0),
        ("make", lambda: torch.zeros(9), 0, 36, 0),
        ("copy", lambda: X.clone(), 48, 48, 0),
        ("cast", lambda: X.double(), 48, 96, 0),
        ("copy into", lambda: torch.empty(4, 3).copy_(V), 12, 48, 0),
        ("an expanded row is read once", lambda: V.expand(4, 3).clone(), 12, 48, 0),
        ("concatenate", lambda: torch.cat([X, X]), 96, 96, 0),
        ("rows by index", lambda: X[INDEX], 36 + 24, 36, 3),
        ("rows by select", lambda: X.index_select(0, INDEX), 36 + 24, 36, 3),
        ("rows by embedding", lambda: F.embedding(INDEX, X), 36 + 24, 36, 3),
        ("columns by index", lambda: X[:, INDEX], 48 + 24, 48, 3),
        ("rows by mask", lambda: X[BITS[:, 0]], 48 + 4, 48, 4),
        ("elements", lambda: X.gather(1, INTEGERS[:, :1]), 16 + 32, 16, 4),
        ("put rows in place", lambda: X.index_put_((INDEX,), V), 12 + 24, 36, 3),
        ("put rows in a copy", lambda: X.index_put((INDEX,), V), 12 + 24 + 48, 36 + 48, 3),
        ("add", lambda: X + X, 96, 48, 0),
        ("rows of nothing", lambda: X[:0][NO_INDEX], 0, 0, 0),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_moves_is_counted_in_bytes_and_rows(name: str, call: Any, read: int, written: int, rows: int) -> None:
    counted = cost(call)

    assert (read, written, rows) == (counted.read_bytes, counted.written_bytes, counted.rows_gathered)


@given(rows=st.integers(1, 6), columns=st.integers(1, 6))
def test_the_sum_of_a_matrix_is_the_sum_of_its_row_sums(rows: int, columns: int) -> None:
    x = ones(rows, columns)

    at_once = cost(lambda: x.sum()).flop.total
    in_steps = cost(lambda: x.sum(1).sum()).flop.total

    assert rows * columns - 1 == at_once == in_steps


def test_an_operation_in_place_has_its_twins_rule() -> None:
    assert rule_of(torch.ops.aten.add.Tensor) is rule_of(torch.ops.aten.add_.Tensor)
    assert None is not rule_of(torch.ops.aten.__rshift__.Tensor)
    assert None is rule_of(torch.ops.aten.linalg_qr.default)


def test_a_view_is_told_by_its_schema() -> None:
    assert is_view(torch.ops.aten.slice.Tensor)
    assert not is_view(torch.ops.aten.add_.Tensor)
    assert not is_view(torch.ops.aten.mm.default)


def test_every_rule_names_an_operation_of_torch() -> None:
    # A misspelt name would never be met; these few are names of other versions.
    elsewhere = {"_reshape_copy", "item", "sym_stride"}

    names = {rule.removeprefix("aten::") for rule in RULES}
    unknown = {name for name in names if not (hasattr(torch.ops.aten, name) or hasattr(torch.ops.aten, f"{name}_"))}

    assert unknown <= elsewhere


def test_the_gradients_of_usual_functions_are_known() -> None:
    x = ones(4, 3).requires_grad_()

    def call() -> None:
        for function in (F.gelu, F.silu, torch.relu, torch.sigmoid, torch.tanh, F.softplus):
            torch.autograd.backward(function(x), ones(4, 3))
        torch.autograd.backward(F.log_softmax(x, 1), ones(4, 3))
        torch.autograd.backward(F.mse_loss(x, X))
        torch.autograd.backward(F.embedding(INDEX, x), ones(3, 3))
        torch.autograd.backward(x[INDEX], ones(3, 3))

    assert () == count_operations(call, strict=False).unknown
