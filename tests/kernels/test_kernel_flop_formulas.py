"""Every FLOP formula equals what its plain reference executes, counted operation by operation as torch runs it."""

from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode, flop_registry

from capratio.cost import op_formulas
from capratio.cost.operation import OperationCost, OperationFormula
from capratio.cost.spec import ORDERS
from capratio.kernels.hyperplane_bits import hyperplane_bits
from capratio.kernels.hyperplane_bits import reference as hyperplane_reference
from capratio.kernels.leaf_linear import leaf_linear
from capratio.kernels.leaf_linear import reference as leaf_reference
from capratio.kernels.path_bias import reference as bias_reference
from capratio.kernels.path_linear import path_linear
from capratio.kernels.path_linear import reference as path_reference
from capratio.kernels.unit_lookup import reference as unit_reference

shapes = settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
tokens_ = st.integers(0, 12)
sizes_ = st.integers(1, 6)


def formula(name: str) -> OperationFormula:
    registered = flop_registry[getattr(torch.ops.capratio, name)]
    assert isinstance(registered, OperationFormula)
    return registered


def drawn(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(len(shape)))


def rows(count: int, *shape: int) -> torch.Tensor:
    return torch.randint(0, count, shape, generator=torch.Generator().manual_seed(7))


def check(aten_count: Any, module: Any, name: str, *arguments: Any) -> None:
    promised = formula(name).cost(*arguments, "reference", out_val=None).flop

    with torch.no_grad(), aten_count() as count:
        getattr(module, name)(*arguments)

    if name in ("unit_lookup_weight_gradient", "unit_lookup_touched_gradient"):
        # Scaling is an elementwise product there, which torch does not tell from an overhead.
        assert promised.total == count.product + count.other
    else:
        assert (promised.product + promised.overhead, 0) == (count.product + count.other, promised.bias)


@shapes
@given(tokens=tokens_, p=sizes_, q=sizes_, nodes=sizes_)
def test_formulas_of_leaf_linear_equal_what_runs(aten_count: Any, tokens: int, p: int, q: int, nodes: int) -> None:
    x, grad, weight, node = drawn(tokens, p), drawn(tokens, q), drawn(nodes, q, p), rows(nodes, tokens)

    check(aten_count, leaf_reference, "leaf_linear", x, weight, node)
    check(aten_count, leaf_reference, "leaf_linear_input_gradient", grad, weight, node)
    check(aten_count, leaf_reference, "leaf_linear_weight_gradient", grad, x, node, nodes)
    check(aten_count, leaf_reference, "leaf_linear_touched_gradient", grad, x, node, nodes)


@shapes
@given(tokens=tokens_, p=sizes_, q=sizes_, depth=st.integers(0, 4), order=st.sampled_from(ORDERS))
def test_formulas_of_path_linear_equal_what_runs(
    aten_count: Any, tokens: int, p: int, q: int, depth: int, order: str
) -> None:
    x, grad, weight = drawn(tokens, p), drawn(tokens, q), drawn(2 ** (depth + 1) - 1, q, p)
    bits = rows(2, tokens, depth).bool()

    check(aten_count, path_reference, "path_linear", x, weight, bits, order)
    check(aten_count, path_reference, "path_linear_input_gradient", grad, weight, bits, order)
    check(aten_count, path_reference, "path_linear_weight_gradient", grad, x, bits, len(weight), order)
    check(aten_count, path_reference, "path_linear_touched_gradient", grad, x, bits, len(weight), order)


@shapes
@given(tokens=tokens_, p=sizes_, q=sizes_, nodes=st.integers(1, 4))
def test_formulas_of_unit_lookup_equal_what_runs(aten_count: Any, tokens: int, p: int, q: int, nodes: int) -> None:
    x, grad, table, node = drawn(tokens, p), drawn(tokens, q), drawn(9, q), rows(9, tokens, p, nodes)

    check(aten_count, unit_reference, "unit_lookup", x, table, node)
    check(aten_count, unit_reference, "unit_lookup_input_gradient", grad, table, node)
    check(aten_count, unit_reference, "unit_lookup_weight_gradient", grad, x, node, 9)
    check(aten_count, unit_reference, "unit_lookup_touched_gradient", grad, x, node, 9)


@shapes
@given(tokens=tokens_, q=sizes_, depth=st.integers(0, 4))
def test_formulas_of_path_bias_equal_what_runs(aten_count: Any, tokens: int, q: int, depth: int) -> None:
    base, table, leaf = drawn(tokens, q), drawn(2 ** (depth + 1) - 1, q), rows(2**depth, tokens)

    check(aten_count, bias_reference, "path_bias", base, table, leaf, depth)
    check(aten_count, bias_reference, "add_path_bias", base, table, leaf, depth)
    check(aten_count, bias_reference, "path_bias_table_gradient", base, leaf, depth)
    check(aten_count, bias_reference, "path_bias_touched_gradient", base, leaf, depth)


@shapes
@given(tokens=tokens_, h=sizes_, depth=st.integers(0, 4))
def test_formula_of_hyperplane_bits_equals_what_runs(aten_count: Any, tokens: int, h: int, depth: int) -> None:
    x, weight = drawn(tokens, h), drawn(depth, h)
    promised = formula("hyperplane_bits").cost(x, weight, "reference", out_val=None)

    with torch.no_grad(), aten_count() as count:
        hyperplane_reference.hyperplane_bits(x, weight)

    assert (promised.flop.gating, promised.routing_operations) == (count.product, count.integer)


def test_a_formula_that_leaves_out_the_overhead_is_seen(aten_count: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(*sizes: int, itemsize: int) -> OperationCost:
        return op_formulas.leaf_linear(*sizes[:3], visited=1, itemsize=itemsize)

    monkeypatch.setattr(op_formulas, "path_linear", wrong)

    with pytest.raises(AssertionError):
        check(aten_count, path_reference, "path_linear", drawn(4, 3), drawn(7, 2, 3), rows(2, 4, 2).bool(), "leaves")


def test_visited_nodes_are_counted_from_the_bits() -> None:
    # Leaves "00", "00", "01": 2 leaves; below the root node "0" and the two leaves.
    bits = torch.tensor([[False, False], [False, False], [False, True]])
    arguments = drawn(3, 5), drawn(7, 4, 5), bits

    assert 3 * 4 * 5 == formula("path_linear").cost(*arguments, "prefixes", "reference", out_val=None).flop.overhead
    assert 2 * 2 * 4 * 5 == formula("path_linear").cost(*arguments, "leaves", "reference", out_val=None).flop.overhead
    assert (
        2 * (2 * 3 * 4 * 5 + 3 * 4)
        == formula("path_linear").cost(*arguments, "nodes", "reference", out_val=None).flop.overhead
    )


def test_the_counter_of_torch_reads_the_formulas() -> None:
    x, weight, node = drawn(3, 5).requires_grad_(), drawn(7, 4, 5).requires_grad_(), rows(7, 3)

    with FlopCounterMode(display=False) as counter:
        torch.autograd.backward(leaf_linear(x, weight, node).sum())

    assert 3 * (2 * 3 * 4 * 5) == counter.get_total_flops()


def test_an_operation_gives_the_same_result_under_the_counter_of_torch() -> None:
    arguments = drawn(3, 5), drawn(7, 4, 5), rows(2, 3, 2).bool(), "prefixes"

    with FlopCounterMode(display=False):
        counted = path_linear(*arguments)

    assert torch.equal(path_linear(*arguments), counted)
    assert 0 == hyperplane_bits(drawn(0, 4), drawn(2, 4)).numel()
