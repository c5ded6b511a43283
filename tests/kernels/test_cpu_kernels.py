"""The compiled CPU kernels equal the plain reference where groups are large and small, and whoever calls them."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from capratio.cost.spec import ORDERS
from capratio.errors import InputError
from capratio.kernels.backends import implementation
from capratio.kernels.cpu import node_groups
from capratio.kernels.cpu.sorting import sort_by_key
from capratio.kernels.crossovers import CPU_CROSSOVERS
from capratio.kernels.leaf_linear import cpu as leaf_cpu
from capratio.kernels.leaf_linear import outer
from capratio.kernels.path_bias import add_path_bias, path_bias
from capratio.kernels.path_bias import cpu as bias_cpu
from capratio.kernels.path_linear import cpu as path_cpu
from capratio.kernels.unit_lookup import cpu as unit_cpu

FOLDERS = {
    "leaf_linear": ("leaf_linear", "leaf_linear_input_gradient", "leaf_linear_weight_gradient"),
    "unit_lookup": ("unit_lookup", "unit_lookup_input_gradient", "unit_lookup_weight_gradient"),
    "path_bias": ("path_bias", "path_bias_table_gradient"),
    "path_linear": ("path_linear", "path_linear_input_gradient", "path_linear_weight_gradient"),
}
OPERATIONS = [(folder, name) for folder, names in FOLDERS.items() for name in names]
# Relative and absolute. Sums of up to 200 terms of the size of 1: float32 rounds each of them by 1e-7, half types are
# summed in float32 and rounded once.
TOLERANCES = {
    torch.float32: (0.0, 1e-4),
    torch.float64: (0.0, 1e-11),
    torch.bfloat16: (2**-8, 1e-4),
    torch.float16: (2**-11, 1e-4),
}

shapes = settings(max_examples=20, deadline=None)


def drawn(*shape: int, dtype: torch.dtype, seed: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def rows(count: int, *shape: int) -> torch.Tensor:
    return torch.randint(0, count, shape, generator=torch.Generator().manual_seed(7))


def arguments(name: str, tokens: int, p: int, q: int, depth: int, order: str, dtype: torch.dtype) -> tuple[Any, ...]:
    """Of an operation over a table of all nodes of a tree: few nodes with many tokens, or many with few."""
    nodes = 2 ** (depth + 1) - 1
    x, grad = drawn(tokens, p, dtype=dtype, seed=1), drawn(tokens, q, dtype=dtype, seed=2)
    weight, table = drawn(nodes, q, p, dtype=dtype, seed=3), drawn(nodes, q, dtype=dtype, seed=4)
    node, bits = rows(nodes, tokens), rows(2, tokens, depth).bool()
    leaf, unit = rows(2**depth, tokens), rows(nodes, tokens, p, 2)
    return {
        "leaf_linear": (x, weight, node),
        "leaf_linear_input_gradient": (grad, weight, node),
        "leaf_linear_weight_gradient": (grad, x, node, nodes),
        "unit_lookup": (x, table, unit),
        "unit_lookup_input_gradient": (grad, table, unit),
        "unit_lookup_weight_gradient": (grad, x, unit, nodes),
        "path_bias": (grad, table, leaf, depth),
        "path_bias_table_gradient": (grad, leaf, depth),
        "path_linear": (x, weight, bits, order),
        "path_linear_input_gradient": (grad, weight, bits, order),
        "path_linear_weight_gradient": (grad, x, bits, nodes, order),
    }[name]


def run(folder: str, name: str, backend: str, given: tuple[Any, ...]) -> torch.Tensor:
    out: torch.Tensor = implementation(folder, name, backend, "cpu")(*given)
    return out


def agrees(folder: str, name: str, given: tuple[Any, ...]) -> bool:
    wide = tuple(one.double() if isinstance(one, torch.Tensor) and one.is_floating_point() else one for one in given)
    out, expected = run(folder, name, "cpu", given), run(folder, name, "reference", wide)
    assert out.dtype == given[0].dtype
    relative, absolute = TOLERANCES[out.dtype]
    return torch.allclose(expected, out.double(), rtol=relative, atol=absolute)


@pytest.mark.parametrize("folder, name", OPERATIONS)
@shapes
@given(
    tokens=st.integers(0, 200),
    p=st.integers(1, 37),
    q=st.integers(1, 37),
    depth=st.integers(0, 6),
    order=st.sampled_from(ORDERS),
    dtype=st.sampled_from(list(TOLERANCES)),
)
def test_a_compiled_kernel_equals_the_reference(
    folder: str, name: str, tokens: int, p: int, q: int, depth: int, order: str, dtype: torch.dtype
) -> None:
    assert agrees(folder, name, arguments(name, tokens, p, q, depth, order, dtype))


@pytest.mark.parametrize("name", FOLDERS["leaf_linear"])
@pytest.mark.parametrize("p, q", [(1013, 31), (29, 1013), (150, 200)])
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_sums_longer_than_what_a_cache_holds_at_a_time_equal_the_reference(
    name: str, p: int, q: int, dtype: torch.dtype
) -> None:
    given = arguments(name, 1013, p, q, 0, "nodes", dtype)
    if dtype == torch.bfloat16:
        # Of such sums float32 itself loses what they cancel; positive terms do not.
        given = tuple(one.abs() if one.is_floating_point() else one for one in given if isinstance(one, torch.Tensor))
        given += (1,) if name.endswith("weight_gradient") else ()
    assert agrees("leaf_linear", name, given)


@pytest.mark.parametrize("folder, name", OPERATIONS)
def test_a_compiled_kernel_does_not_depend_on_the_number_of_threads(folder: str, name: str) -> None:
    given = arguments(name, 150, 33, 35, 5, "prefixes", torch.float32)
    before = torch.get_num_threads()

    try:
        torch.set_num_threads(1)
        alone = run(folder, name, "cpu", given)
        torch.set_num_threads(2)
        together = run(folder, name, "cpu", given)
    finally:
        torch.set_num_threads(before)

    assert torch.equal(alone, together)


@pytest.mark.parametrize("folder, name", OPERATIONS)
def test_two_threads_that_call_at_once_get_right_answers(folder: str, name: str) -> None:
    calls = [arguments(name, tokens, 33, 35, 4, "prefixes", torch.float32) for tokens in (90, 91) for _ in range(10)]

    def run_on_two(given: tuple[Any, ...]) -> torch.Tensor:
        torch.set_num_threads(2)
        return run(folder, name, "cpu", given)

    before = torch.get_num_threads()
    try:
        expected = [run_on_two(given) for given in calls]
        with ThreadPoolExecutor(2) as threads:
            outs = list(threads.map(run_on_two, calls))
    finally:
        torch.set_num_threads(before)

    assert all(torch.equal(one, other) for one, other in zip(expected, outs, strict=True))


@pytest.mark.parametrize("folder, name", OPERATIONS)
def test_a_compiled_kernel_takes_tensors_that_are_not_contiguous(folder: str, name: str) -> None:
    given = arguments(name, 30, 9, 11, 3, "prefixes", torch.float64)

    strided = tuple(one.repeat_interleave(2, -1)[..., ::2] if isinstance(one, torch.Tensor) else one for one in given)

    assert not strided[0].is_contiguous()
    assert torch.equal(run(folder, name, "cpu", given), run(folder, name, "cpu", strided))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_types_are_widened_as_torch_does(dtype: torch.dtype) -> None:
    # Every number of 16 bits is a row of one matrix.
    number = torch.arange(2**16, dtype=torch.int32).to(torch.uint16).view(dtype)
    x, node = torch.ones(1, 1, dtype=dtype), torch.zeros(1, dtype=torch.int64)

    out = run("leaf_linear", "leaf_linear", "cpu", (x, number.view(1, -1, 1), node))

    assert torch.equal(number.nan_to_num(nan=3.0), out[0].nan_to_num(nan=3.0))


@given(keys=st.lists(st.integers(0, 9), max_size=50), spread=st.sampled_from([1, 10**6]))
def test_sorting_is_stable_whichever_way_it_goes(keys: list[int], spread: int) -> None:
    key = np.array(keys, np.int64) * spread

    order, distinct, starts = sort_by_key(key, 9 * spread + 1)

    assert sorted(range(len(keys)), key=lambda token: (keys[token], token)) == order.tolist()
    assert sorted({int(one) for one in key}) == distinct.tolist()
    assert [keys[order[start]] * spread for start in starts[:-1]] == distinct.tolist()
    assert len(keys) == starts[-1]


@pytest.mark.parametrize("tokens", [4, 60])
@pytest.mark.parametrize("wrong", [-1, 15])
@pytest.mark.parametrize("folder, name", [one for one in OPERATIONS if one[0] != "path_linear"])
def test_an_index_outside_of_the_table_is_refused(folder: str, name: str, wrong: int, tokens: int) -> None:
    given = arguments(name, tokens, 9, 11, 3, "prefixes", torch.float64)
    for index in given:
        if isinstance(index, torch.Tensor) and index.dtype == torch.int64:
            index.view(-1)[-1] = wrong

    # A table of all nodes of depth 3 has 15 rows, and a tree 8 leaves.
    with pytest.raises(InputError, match=f"the index {wrong} was given into a table of (15|8) rows"):
        run(folder, name, "cpu", given)


def with_neighbours(given: tuple[Any, ...]) -> tuple[Any, ...]:
    """The nodes without the last row, which has no neighbour to the right."""
    return tuple(one % 14 if isinstance(one, torch.Tensor) and one.dtype == torch.int64 else one for one in given)


def send_to_library(monkeypatch: pytest.MonkeyPatch, from_tokens: int) -> None:
    """Let groups of so many tokens, and no smaller ones, go to the library."""
    crossovers = replace(
        CPU_CROSSOVERS,
        library_product_from_tokens=from_tokens,
        library_transposed_from_tokens=from_tokens,
        library_outer_from_tokens=from_tokens,
    )
    for module in (leaf_cpu, outer):
        monkeypatch.setattr(module, "CPU_CROSSOVERS", crossovers)


def shifted(node: torch.Tensor, nodes: int) -> node_groups.NodeGroups:
    return node_groups.group_tokens(node ^ 1, nodes + 1)


@pytest.mark.parametrize(
    "folder, name, module",
    [
        ("leaf_linear", "leaf_linear", leaf_cpu),
        ("leaf_linear", "leaf_linear_input_gradient", leaf_cpu),
        ("leaf_linear", "leaf_linear_weight_gradient", leaf_cpu),
        ("path_linear", "path_linear", path_cpu),
        ("path_linear", "path_linear_input_gradient", path_cpu),
        ("path_linear", "path_linear_weight_gradient", path_cpu),
        ("path_bias", "path_bias", bias_cpu),
        ("path_bias", "path_bias_table_gradient", bias_cpu),
        ("unit_lookup", "unit_lookup_weight_gradient", unit_cpu),
    ],
)
@pytest.mark.parametrize("order", ["prefixes", "nodes"])
def test_a_wrong_node_is_seen(folder: str, name: str, module: Any, order: str, monkeypatch: pytest.MonkeyPatch) -> None:
    given = with_neighbours(arguments(name, 20, 9, 11, 3, order, torch.float64))
    send_to_library(monkeypatch, 4)
    assert agrees(folder, name, given)

    monkeypatch.setattr(module, "group_tokens", shifted)

    assert not agrees(folder, name, given)


@pytest.mark.parametrize(
    "name, kernel",
    [("leaf_linear", "multiply_tokens"), ("leaf_linear_input_gradient", "multiply_tokens_transposed")],
)
def test_a_wrong_node_of_few_tokens_is_seen(name: str, kernel: str, monkeypatch: pytest.MonkeyPatch) -> None:
    given = with_neighbours(arguments(name, 20, 9, 11, 3, "prefixes", torch.float64))
    multiply = getattr(leaf_cpu, kernel)
    assert agrees("leaf_linear", name, given)

    monkeypatch.setattr(leaf_cpu, kernel, lambda x, weight, node, out: multiply(x, weight, node ^ 1, out))

    assert not agrees("leaf_linear", name, given)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("step", [1, 2])
def test_a_path_bias_in_place_is_the_same(step: int, dtype: torch.dtype) -> None:
    base, table, leaf, depth = arguments("path_bias", 70, 9, 11, 4, "prefixes", dtype)
    total = torch.zeros(70, 11 * step, dtype=dtype)[:, ::step].copy_(base)

    same = add_path_bias(total, table, leaf, depth, "cpu")

    assert same is total
    assert torch.equal(path_bias(base, table, leaf, depth, "cpu"), total)
    assert torch.allclose(path_bias(base, table, leaf, depth, "reference"), total, rtol=0.02, atol=0.02)


@pytest.mark.parametrize("name", FOLDERS["leaf_linear"])
def test_groups_go_to_the_library_from_the_crossover_on(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    given = arguments(name, 100, 9, 11, 2, "prefixes", torch.float64)
    products: list[int] = []
    mm: Callable[..., torch.Tensor] = torch.mm

    def counted(left: torch.Tensor, right: torch.Tensor, **others: Any) -> torch.Tensor:
        products.append(len(left))
        return mm(left, right, **others)

    monkeypatch.setattr(torch, "mm", counted)
    send_to_library(monkeypatch, 101)
    run("leaf_linear", name, "cpu", given)
    assert products == []

    send_to_library(monkeypatch, 1)
    run("leaf_linear", name, "cpu", given)
    assert 7 == len(products)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", FOLDERS["leaf_linear"])
def test_small_and_large_groups_of_one_batch_agree(
    name: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = arguments(name, 100, 9, 11, 2, "prefixes", dtype)
    sizes = given[2].bincount().tolist()
    assert min(sizes) < 14 <= max(sizes)

    send_to_library(monkeypatch, 14)

    assert agrees("leaf_linear", name, given)


@pytest.mark.parametrize("dtype", list(TOLERANCES))
@pytest.mark.parametrize("q", [1, 8, 15, 16, 17, 64, 79, 256, 300, 513])
def test_rows_of_any_width_are_summed_stripe_by_stripe(
    q: int, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    crossovers = replace(CPU_CROSSOVERS, library_bag_under_features=0)
    monkeypatch.setattr(unit_cpu, "CPU_CROSSOVERS", crossovers)
    monkeypatch.delattr(unit_cpu, "embedding_bag")

    assert agrees("unit_lookup", "unit_lookup", arguments("unit_lookup", 9, 7, q, 3, "prefixes", dtype))
