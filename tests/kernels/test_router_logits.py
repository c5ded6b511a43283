"""router_logits: loops in float64, gradients, float32 for half types, and FLOP that count as gating."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck, gradgradcheck

from capratio.cost.flop import Flop
from capratio.cost.operation import OperationCost
from capratio.errors import InputError
from capratio.kernels.router_logits import group_router_logits, group_router_logits_weight_gradient, router_logits
from capratio.kernels.router_logits import reference as router_reference
from capratio.measure.flop_counter import count_operations

HALVES = (torch.bfloat16, torch.float16)


def drawn(*shape: int, seed: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)).to(dtype)


def groups_of(tokens: int, groups: int) -> torch.Tensor:
    return torch.randint(groups, (tokens,), generator=torch.Generator().manual_seed(tokens))


def count(call: Callable[[], object]) -> OperationCost:
    return count_operations(call, strict=True).cost


@settings(max_examples=30)
@given(tokens=st.integers(0, 6), p=st.integers(1, 5), members=st.integers(1, 4), groups=st.integers(1, 3))
def test_logits_are_products_of_rows(tokens: int, p: int, members: int, groups: int) -> None:
    x, weight, group = drawn(tokens, p, seed=1), drawn(groups, members, p, seed=2), groups_of(tokens, groups)

    flat, own = router_logits(x, weight[0]), group_router_logits(x, weight, group)

    assert (tokens, members) == flat.shape == own.shape
    for n in range(tokens):
        for m in range(members):
            assert pytest.approx(sum((weight[0, m] * x[n]).tolist())) == float(flat[n, m])
            assert pytest.approx(sum((weight[group[n], m] * x[n]).tolist())) == float(own[n, m])


@pytest.mark.parametrize("tokens", [0, 1, 4])
def test_gradients_of_every_order_equal_finite_differences(tokens: int) -> None:
    x, weight = drawn(tokens, 3, seed=1).requires_grad_(), drawn(2, 4, 3, seed=2).requires_grad_()
    group, grad = groups_of(tokens, 2), drawn(tokens, 4, seed=3).requires_grad_()
    flat = weight[0].detach().requires_grad_()
    calls: tuple[tuple[Callable[..., Any], tuple[torch.Tensor, ...]], ...] = (
        (router_logits, (x, flat)),
        (lambda x, weight: group_router_logits(x, weight, group), (x, weight)),
        (lambda grad, x: group_router_logits_weight_gradient(grad, x, group, 2), (grad, x)),
    )
    for call, arguments in calls:
        assert gradcheck(call, arguments)
        assert gradgradcheck(call, arguments)


def test_torch_finds_schemas_fake_kernels_and_autograd_consistent() -> None:
    x, weight, group = drawn(4, 3, seed=1), drawn(2, 5, 3, seed=2), groups_of(4, 2)
    tests = ("test_schema", "test_autograd_registration", "test_faketensor")
    ops = torch.ops.capratio
    for operation, arguments in (
        (ops.router_logits, (x.requires_grad_(), weight[0])),
        (ops.group_router_logits, (x, weight.requires_grad_(), group)),
        (ops.group_router_logits_weight_gradient, (drawn(4, 5, seed=3), x, group, 2)),
    ):
        torch.library.opcheck(operation.default, (*arguments, "auto"), test_utils=tests)


@pytest.mark.parametrize("dtype", HALVES)
def test_half_types_are_multiplied_in_float32_and_have_gradients_of_their_own(dtype: torch.dtype) -> None:
    x, weight = drawn(6, 33, seed=1, dtype=dtype), drawn(2, 5, 33, seed=2, dtype=dtype)
    group = groups_of(6, 2)
    x.requires_grad_()
    weight.requires_grad_()

    flat, own = router_logits(x, weight[1]), group_router_logits(x, weight, group)
    torch.autograd.backward([flat.sum(), own.sum()])

    assert torch.float32 == flat.dtype == own.dtype
    # Rounding to the half type once would be 100 times as far away.
    assert torch.allclose(x.double() @ weight[1].double().T, flat.double(), atol=1e-5)
    assert x.grad is not None
    assert weight.grad is not None
    assert dtype == x.grad.dtype == weight.grad.dtype


def test_autocast_leaves_logits_in_float32() -> None:
    x, weight = drawn(3, 4, seed=1, dtype=torch.float32), drawn(2, 5, 4, seed=2, dtype=torch.float32)

    with torch.autocast("cpu"):
        flat, own = router_logits(x, weight[0]), group_router_logits(x, weight, groups_of(3, 2))

    assert torch.float32 == flat.dtype == own.dtype
    assert torch.equal(router_logits(x, weight[0]), flat)


@settings(max_examples=20)
@given(tokens=st.integers(0, 6), p=st.integers(1, 5), members=st.integers(1, 4), groups=st.integers(1, 3))
def test_flop_count_as_gating_and_are_those_of_the_reference(tokens: int, p: int, members: int, groups: int) -> None:
    x, weight, group = drawn(tokens, p, seed=1), drawn(groups, members, p, seed=2), groups_of(tokens, groups)
    grad = drawn(tokens, members, seed=3)
    arguments: dict[str, tuple[Any, ...]] = {
        "router_logits": (x, weight[0]),
        "group_router_logits": (x, weight, group),
        "group_router_logits_weight_gradient": (grad, x, group, groups),
    }
    for name, tensors in arguments.items():
        promised = count(partial(getattr(torch.ops.capratio, name), *tensors, "auto"))
        runs = count(partial(getattr(router_reference, name), *tensors))

        assert Flop(gating=2 * tokens * p * members) == promised.flop
        assert Flop(product=2 * tokens * p * members) == runs.flop


def test_gradients_count_as_gating_too() -> None:
    x, weight = drawn(4, 3, seed=1).requires_grad_(), drawn(2, 5, 3, seed=2).requires_grad_()
    group = groups_of(4, 2)

    matrix, ones = weight[0].detach().requires_grad_(), torch.ones(4, 5).double()
    flat = count(lambda: torch.autograd.backward(router_logits(x, matrix), ones))
    own = count(lambda: torch.autograd.backward(group_router_logits(x, weight, group), ones))

    # Three products of 4 tokens, 3 features and 5 experts; the third call adds to x's gradient, 4 x 3.
    assert Flop(gating=3 * 2 * 4 * 3 * 5) == flat.flop
    assert 3 * 2 * 4 * 3 * 5 == own.flop.gating == own.flop.total - own.flop.overhead
    # Each of three sorts of 4 tokens takes 8 steps.
    assert 3 * 8 == own.routing_operations


def test_bytes_by_hand() -> None:
    x, weight = drawn(4, 3, seed=1, dtype=torch.bfloat16), drawn(5, 3, seed=2, dtype=torch.bfloat16)

    cost = count(lambda: router_logits(x, weight))

    # 4 + 5 rows of 3 elements of 2 bytes; 4 x 5 logits of 4.
    assert (54, 80) == (cost.read_bytes, cost.written_bytes)


@pytest.mark.parametrize(
    "operation, given, name",
    [
        (router_logits, (drawn(4, 3, seed=1), drawn(5, 2, seed=1)), "weight"),
        (router_logits, (drawn(4, 3, seed=1), drawn(5, 3, seed=1).float()), "float32"),
        (group_router_logits, (drawn(4, 3, seed=1), drawn(2, 5, 3, seed=1), groups_of(3, 2)), "group"),
        (group_router_logits, (drawn(4, 3, seed=1), drawn(5, 3, seed=1), groups_of(4, 2)), "weight"),
        (
            group_router_logits_weight_gradient,
            (drawn(3, 5, seed=1), drawn(4, 3, seed=1), groups_of(4, 2), 2),
            "x of shape",
        ),
    ],
)
def test_what_does_not_fit_is_refused_by_name(operation: Callable[..., Any], given: tuple[Any, ...], name: str) -> None:
    with pytest.raises(InputError, match=name):
        operation(*given)
