"""Gradients of every hot product, first and second order, against finite differences; and torch's checks of an op."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch.autograd import forward_ad, gradcheck, gradgradcheck

from capratio.cost.spec import ORDERS
from capratio.errors import InputError
from capratio.kernels.hyperplane_bits import hyperplane_bits
from capratio.kernels.leaf_linear import leaf_linear, leaf_linear_input_gradient, leaf_linear_weight_gradient
from capratio.kernels.path_bias import path_bias, path_bias_table_gradient
from capratio.kernels.path_linear import path_linear, path_linear_input_gradient, path_linear_weight_gradient
from capratio.kernels.unit_lookup import unit_lookup, unit_lookup_input_gradient, unit_lookup_weight_gradient

DEPTH, IN, OUT = 2, 3, 2
BACKENDS = ("reference", "cpu")
NODES = 2 ** (DEPTH + 1) - 1


def real(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)).requires_grad_()


def whole(rows: int, *shape: int) -> torch.Tensor:
    return torch.randint(0, rows, shape, generator=torch.Generator().manual_seed(9))


def operations(tokens: int) -> dict[str, tuple[Callable[..., torch.Tensor], tuple[Any, ...]]]:
    """Every differentiable operation with arguments of a few tokens."""
    x, grad, weight = real(tokens, IN, seed=1), real(tokens, OUT, seed=2), real(NODES, OUT, IN, seed=3)
    node, leaf, bits = whole(NODES, tokens), whole(2**DEPTH, tokens), whole(2, tokens, DEPTH).bool()
    table, unit_node = real(8, OUT, seed=4), whole(8, tokens, IN, 2)
    cases: dict[str, tuple[Callable[..., torch.Tensor], tuple[Any, ...]]] = {
        "leaf_linear": (leaf_linear, (x, weight, node)),
        "leaf_linear_input_gradient": (leaf_linear_input_gradient, (grad, weight, node)),
        "leaf_linear_weight_gradient": (leaf_linear_weight_gradient, (grad, x, node, NODES)),
        "unit_lookup": (unit_lookup, (x, table, unit_node)),
        "unit_lookup_input_gradient": (unit_lookup_input_gradient, (grad, table, unit_node)),
        "unit_lookup_weight_gradient": (unit_lookup_weight_gradient, (grad, x, unit_node, 8)),
        "path_bias": (path_bias, (grad, real(NODES, OUT, seed=5), leaf, DEPTH)),
        "path_bias_table_gradient": (path_bias_table_gradient, (grad, leaf, DEPTH)),
    }
    for order in ORDERS:
        cases[f"path_linear[{order}]"] = (path_linear, (x, weight, bits, order))
        cases[f"path_linear_input_gradient[{order}]"] = (path_linear_input_gradient, (grad, weight, bits, order))
        cases[f"path_linear_weight_gradient[{order}]"] = (path_linear_weight_gradient, (grad, x, bits, NODES, order))
    return cases


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("tokens", [0, 1, 4])
@pytest.mark.parametrize("name", operations(1))
def test_gradients_equal_finite_differences(name: str, tokens: int, backend: str) -> None:
    operation, arguments = operations(tokens)[name]

    assert gradcheck(partial(operation, backend=backend), arguments)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", operations(1))
def test_second_gradients_equal_finite_differences(name: str, backend: str) -> None:
    operation, arguments = operations(3)[name]

    assert gradgradcheck(partial(operation, backend=backend), arguments)


def test_only_the_gradients_that_are_needed_are_computed(aten_count: Any) -> None:
    operation, (x, weight, node) = operations(4)["leaf_linear"]

    out = operation(x.detach(), weight, node)
    with aten_count() as count:
        torch.autograd.backward(out, torch.ones_like(out))

    assert {"capratio::leaf_linear_weight_gradient"} == count.own


@pytest.mark.parametrize("name", operations(1))
def test_torch_finds_schema_fake_kernel_and_autograd_of_each_operation_consistent(name: str) -> None:
    _, arguments = operations(4)[name]
    overload = getattr(torch.ops.capratio, name.split("[")[0]).default

    tests = ("test_schema", "test_autograd_registration", "test_faketensor")

    torch.library.opcheck(overload, (*arguments, "auto"), test_utils=tests)


def test_bits_of_hyperplanes_have_no_gradient() -> None:
    bits = hyperplane_bits(real(3, IN, seed=1), real(2, IN, seed=2))

    assert not bits.requires_grad
    torch.library.opcheck(
        torch.ops.capratio.hyperplane_bits.default,
        (real(3, IN, seed=1).detach(), real(2, IN, seed=2).detach(), "reference"),
        test_utils=("test_schema", "test_faketensor"),
    )


# torch's own forward mode compiles its rules by a function that it has deprecated.
@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning")
def test_forward_mode_is_refused_where_it_would_be_zero() -> None:
    x, weight, node = torch.randn(3, 4), torch.randn(5, 2, 4), torch.tensor([0, 4, 4])

    with pytest.raises(InputError, match="no forward-mode derivative"):
        torch.func.jvp(lambda one: leaf_linear(one, weight, node), (x,), (torch.ones_like(x),))
    with forward_ad.dual_level(), pytest.raises(InputError, match="no forward-mode derivative"):
        leaf_linear(forward_ad.make_dual(x, torch.ones_like(x)), weight, node)  # type: ignore[no-untyped-call]
