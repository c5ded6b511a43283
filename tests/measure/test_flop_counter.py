"""Operations are counted once each, by the formula that they bring, and one that is not known is never passed over."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode, register_flop_formula

from capratio.cost.flop import Flop
from capratio.cost.operation import OperationCost, OperationFormula
from capratio.errors import UnknownOperationError
from capratio.measure import flop_counter
from capratio.measure.flop_counter import count_operations
from tests.measure.counting import K, M, N, count, differentiate, f

LIBRARY: Any = torch.library.Library("counted", "FRAGMENT")  # type: ignore[no-untyped-call]


def define(name: str, schema: str, run: Callable[..., torch.Tensor]) -> Any:
    LIBRARY.define(f"{name}{schema}")
    LIBRARY.impl(name, run, "CompositeExplicitAutograd")
    return getattr(torch.ops.counted, name)


def test_a_custom_operation_is_counted_by_the_formula_that_it_registers() -> None:
    packet = define("known", "(Tensor x, int k, *, int m=1) -> Tensor", lambda x, k, m=1: x * k)

    def cost(x: torch.Tensor, k: int, m: int = 1, *, out_val: torch.Tensor) -> OperationCost:
        return OperationCost(Flop(gating=k * m * out_val.numel()), routing_operations=2, read_bytes=11, written_bytes=1)

    register_flop_formula(packet, get_raw=True)(OperationFormula(cost))

    counted = count(packet, f(M, N), 10, m=2)

    # The multiply inside is the operation's own and not counted beside its formula.
    assert OperationCost(Flop(gating=420), 2, 11, 1) == counted


def test_an_operation_with_a_formula_of_torchs_own_kind_is_a_product() -> None:
    packet = define("theirs", "(Tensor x) -> Tensor", lambda x: x.clone())
    register_flop_formula(packet)(lambda x_shape, out_shape=None, **_: 6 * x_shape[0])

    assert Flop(product=18) == count(packet, f(M)).flop


def test_an_operation_that_is_not_known_is_an_error_that_says_how_to_mend_it() -> None:
    packet = define("unheard", "(Tensor x) -> Tensor", lambda x: x.clone())

    with pytest.raises(UnknownOperationError, match=r"counted[.:]+unheard.*register"):
        count_operations(lambda: packet(f(3)), strict=True)


def test_an_operation_that_is_not_known_is_listed_once_if_that_is_asked_for() -> None:
    packet = define("listed", "(Tensor x) -> Tensor", lambda x: x.clone())

    counted = count_operations(lambda: packet(packet(f(3)) * 2), strict=False)

    assert 1 == len(counted.unknown)
    assert counted.unknown[0].endswith("listed")
    assert Flop(overhead=3) == counted.cost.flop


def test_a_count_without_unknown_operations_lists_none() -> None:
    assert () == count_operations(lambda: f(3) * 2, strict=False).unknown


def test_an_operation_that_is_not_known_is_an_error_inside_a_backward_pass_too() -> None:
    packet = define("backward_only", "(Tensor x) -> Tensor", lambda x: x.clone())

    class Doubled(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
            return x * 2

        @staticmethod
        def backward(ctx: Any, *grads: Any) -> Any:
            return packet(grads[0])

    def call() -> None:
        Doubled.apply(f(3).requires_grad_()).backward(f(3))  # type: ignore[no-untyped-call]

    with pytest.raises(UnknownOperationError, match="backward_only"):
        count_operations(call, strict=True)


def test_an_operation_whose_rule_is_missing_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(flop_counter.RULES, "aten::mm")

    with FlopCounterMode(display=False) as theirs:
        torch.mm(f(M, K), f(K, N))
    counted = count_operations(lambda: torch.tanh(f(3)), strict=True).cost

    # torch has a formula of its own for mm; nothing has one for tanh.
    assert theirs.get_total_flops() == count(torch.mm, f(M, K), f(K, N)).flop.total
    assert 3 == counted.flop.total
    monkeypatch.delitem(flop_counter.RULES, "aten::tanh")
    with pytest.raises(UnknownOperationError, match="tanh"):
        count(torch.tanh, f(3))


def test_the_call_runs_once_and_its_error_comes_through() -> None:
    runs: list[int] = []

    def call() -> None:
        runs.append(1)
        raise ValueError("of the call")

    with pytest.raises(ValueError, match="of the call"):
        count_operations(call, strict=True)
    assert [1] == runs


def test_operations_outside_of_the_call_are_not_counted() -> None:
    torch.mm(f(M, K), f(K, N))
    counted = count_operations(lambda: None, strict=True)
    torch.mm(f(M, K), f(K, N))

    assert OperationCost() == counted.cost


@given(st.integers(0, 9), st.integers(0, 9), st.integers(1, 9), st.booleans())
def test_a_linear_layer_of_any_size_costs_2mnk_and_its_gradients_twice_that(m: int, k: int, n: int, bias: bool) -> None:
    k = max(k, 1)
    x, weight = f(m, k).requires_grad_(), f(n, k).requires_grad_()
    vector = f(n).requires_grad_() if bias else None

    counted = count(lambda: differentiate(F.linear(x, weight, vector), f(m, n))).flop

    added = (m * n + max(m * n - n, 0)) if bias else 0
    assert Flop(product=3 * 2 * m * k * n, bias=added) == counted


@given(st.integers(1, 8), st.integers(1, 8), st.integers(1, 8))
def test_counts_of_two_calls_add_up(m: int, k: int, n: int) -> None:
    def product() -> object:
        return torch.mm(f(m, k), f(k, n))

    def added() -> object:
        return f(m, n) + f(n)

    assert count(product) + count(added) == count(lambda: (product(), added()))
