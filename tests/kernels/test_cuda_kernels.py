"""Every CUDA kernel equals the reference in float64: on a GPU, or interpreted on the CPU where TRITON_INTERPRET=1.

test_cuda_kernels_interpreted.py runs this file in the second way.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from capratio.kernels.cuda import cuda_blocks, token_tiles
from capratio.kernels.cuda.cuda_blocks import CudaBlocks, OuterBlocks, ProductBlocks, RowBlocks
from capratio.kernels.leaf_index import leaf_index
from capratio.kernels.leaf_linear import (
    leaf_linear,
    leaf_linear_input_gradient,
    leaf_linear_touched_gradient,
    leaf_linear_weight_gradient,
)
from capratio.kernels.path_bias import add_path_bias, path_bias, path_bias_table_gradient, path_bias_touched_gradient
from capratio.kernels.path_linear import (
    path_linear,
    path_linear_input_gradient,
    path_linear_touched_gradient,
    path_linear_weight_gradient,
)
from capratio.kernels.sign_leaf import sign_leaf
from capratio.kernels.tree_descent import neuron_path, tree_descent
from capratio.kernels.tree_route import tree_route
from capratio.kernels.unit_lookup import (
    unit_lookup,
    unit_lookup_input_gradient,
    unit_lookup_touched_gradient,
    unit_lookup_weight_gradient,
)
from capratio.layers.tree_gated_linear import TreeGatedLinear
from tests.kernels.cuda_device import DEVICE, INTERPRETED, marks, need_device

need_device()
pytestmark = marks

# Of the largest result: inputs are the same for the oracle, so that what is left is the rounding of results and of
# formed matrices.
TOLERANCES = {torch.float32: 1e-5, torch.bfloat16: 2e-2, torch.float16: 2e-3}
DTYPES = tuple(TOLERANCES)

# Tokens, depth, inputs, outputs: none, one, so few that they are not sorted, fewer than leaves, as many, many more, in
# one leaf; odd widths, and widths beyond a block.
SHAPES = (
    (0, 2, 5, 7),
    (1, 0, 3, 2),
    (1, 3, 33, 17),
    (7, 1, 5, 3),
    (12, 5, 9, 5),
    (24, 3, 6, 19),
    (60, 1, 7, 9),
    (70, 0, 3, 35),
)

Case = tuple[Callable[..., torch.Tensor], tuple[Any, ...]]


def drawn(*shape: int, dtype: torch.dtype, seed: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(DEVICE, dtype)


def whole(rows: int, *shape: int, seed: int = 2) -> torch.Tensor:
    return torch.randint(0, rows, shape, generator=torch.Generator().manual_seed(seed)).to(DEVICE)


def cases(tokens: int, depth: int, p: int, q: int, dtype: torch.dtype) -> dict[str, Case]:
    """Every operation with its arguments but the backend."""
    leaves, nodes = 2**depth, 2 ** (depth + 1) - 1
    x, grad = drawn(tokens, p, dtype=dtype, seed=3), drawn(tokens, q, dtype=dtype, seed=4)
    tree, leaf = drawn(nodes, q, p, dtype=dtype, seed=5), whole(leaves, tokens)
    values = drawn(tokens, depth, dtype=dtype, seed=6)
    table, unit_node = drawn(nodes, q, dtype=dtype, seed=7), whole(nodes, tokens, p, depth + 1)
    found: dict[str, Case] = {
        "leaf_index": (leaf_index, (values[None] > 0,)),
        "sign_leaf": (sign_leaf, (x, whole(p, 2, depth))),
        "leaf_linear": (leaf_linear, (x, tree[:leaves], leaf)),
        "leaf_linear[bias]": (biased, (x, tree[:leaves], leaf, tree[0, :, 0])),
        "leaf_linear_input_gradient": (leaf_linear_input_gradient, (grad, tree[:leaves], leaf)),
        "leaf_linear_weight_gradient": (leaf_linear_weight_gradient, (grad, x, leaf, leaves)),
        "add_path_bias": (added, (grad, table, leaf, depth)),
        "add_path_bias[rows apart]": (added_apart, (grad, table, leaf, depth)),
        "path_bias": (path_bias, (grad, table, leaf, depth)),
        "path_bias_table_gradient": (path_bias_table_gradient, (grad, leaf, depth)),
        "neuron_path": (neurons, (x, tree[:, 0], depth)),
        "tree_descent": (tree_descent, (x, tree[: leaves - 1, 0], tree[: leaves - 1, 0, 0], depth)),
        "tree_route": (routed, (values,)),
        "tree_route[bits]": (routed, (values > 0,)),
        "unit_lookup": (unit_lookup, (x, table, unit_node)),
        "unit_lookup_input_gradient": (unit_lookup_input_gradient, (grad, table, unit_node)),
        "unit_lookup_weight_gradient": (unit_lookup_weight_gradient, (grad, x, unit_node, nodes)),
    }
    for order in ("nodes", "leaves"):
        bits = values > 0
        found[f"path_linear[{order}]"] = (path_linear, (x, tree, bits, order))
        found[f"path_linear_input_gradient[{order}]"] = (path_linear_input_gradient, (grad, tree, bits, order))
        found[f"path_linear_weight_gradient[{order}]"] = (path_linear_weight_gradient, (grad, x, bits, nodes, order))
    touched: dict[str, tuple[Callable[..., tuple[torch.Tensor, torch.Tensor]], tuple[Any, ...]]] = {
        "leaf_linear_touched_gradient": (leaf_linear_touched_gradient, (grad, x, leaf, leaves)),
        "path_bias_touched_gradient": (path_bias_touched_gradient, (grad, leaf, depth)),
        "path_linear_touched_gradient": (path_linear_touched_gradient, (grad, x, values > 0, nodes, "leaves")),
        "unit_lookup_touched_gradient": (unit_lookup_touched_gradient, (grad, x, unit_node, nodes)),
    }
    for name, (operation, arguments) in touched.items():
        found[f"{name}[rows]"] = partial(part, operation, 0), arguments
        found[f"{name}[values]"] = partial(part, operation, 1), arguments
    return found


def part(operation: Callable[..., tuple[torch.Tensor, ...]], place: int, *arguments: Any) -> torch.Tensor:
    """One of the tensors that an operation gives."""
    return operation(*arguments)[place]


def biased(x: torch.Tensor, weight: torch.Tensor, node: torch.Tensor, bias: torch.Tensor, backend: str) -> torch.Tensor:
    return leaf_linear(x, weight, node, backend, bias=bias)


def added(base: torch.Tensor, table: torch.Tensor, leaf: torch.Tensor, depth: int, backend: str) -> torch.Tensor:
    """A path bias in place of a copy."""
    return add_path_bias(base.clone(), table, leaf, depth, backend)


def added_apart(base: torch.Tensor, table: torch.Tensor, leaf: torch.Tensor, depth: int, backend: str) -> torch.Tensor:
    """A path bias in place of a copy whose rows lie apart, as those of every other column do."""
    apart = torch.empty(2 * base.shape[0], base.shape[1], device=base.device, dtype=base.dtype)[::2].copy_(base)
    return add_path_bias(apart, table, leaf, depth, backend)


def routed(values: torch.Tensor, backend: str) -> torch.Tensor:
    """A route in one tensor."""
    return torch.cat(tree_route(values, backend))


def neurons(x: torch.Tensor, weight: torch.Tensor, depth: int, backend: str) -> torch.Tensor:
    """The values of the neurons on a way, which those of other nodes would not have."""
    return neuron_path(x, weight, depth, backend)[1]


NAMES = (
    "leaf_index",
    "leaf_linear",
    "leaf_linear[bias]",
    "leaf_linear_input_gradient",
    "leaf_linear_touched_gradient[rows]",
    "leaf_linear_touched_gradient[values]",
    "leaf_linear_weight_gradient",
    "add_path_bias",
    "add_path_bias[rows apart]",
    "path_bias",
    "path_bias_table_gradient",
    "path_bias_touched_gradient[rows]",
    "path_bias_touched_gradient[values]",
    "path_linear[nodes]",
    "path_linear[leaves]",
    "path_linear_input_gradient[nodes]",
    "path_linear_input_gradient[leaves]",
    "path_linear_weight_gradient[nodes]",
    "path_linear_weight_gradient[leaves]",
    "path_linear_touched_gradient[rows]",
    "path_linear_touched_gradient[values]",
    "sign_leaf",
    "neuron_path",
    "tree_descent",
    "tree_route",
    "tree_route[bits]",
    "unit_lookup",
    "unit_lookup_input_gradient",
    "unit_lookup_touched_gradient[rows]",
    "unit_lookup_touched_gradient[values]",
    "unit_lookup_weight_gradient",
)


def oracle(operation: Callable[..., torch.Tensor], arguments: tuple[Any, ...]) -> torch.Tensor:
    wide = (a.double() if isinstance(a, torch.Tensor) and a.is_floating_point() else a for a in arguments)
    return operation(*wide, "reference")


def close(operation: Callable[..., torch.Tensor], arguments: tuple[Any, ...]) -> bool:
    expected, actual = oracle(operation, arguments), operation(*arguments, "cuda")
    if not actual.is_floating_point():
        return torch.equal(expected, actual)
    assert expected.shape == actual.shape
    largest = float(expected.abs().max()) if expected.numel() else 0.0
    return torch.allclose(expected, actual.double(), rtol=0, atol=TOLERANCES[actual.dtype] * max(1.0, largest))


def small_blocks(method: str, *, compared_up_to_tokens: int = 1000, descriptor: bool = False) -> CudaBlocks:
    """Blocks so small that the shapes have many of each; no token is left unsorted but a single one."""
    most = float("inf") if method == "vector" else 1.0
    vector = (ProductBlocks(size, most, "vector", 2, 8, 4, 1, 1) for size in (2, 4))
    matrix = (ProductBlocks(size, float("inf"), "matrix", 16, 16, 16, 1, 1, descriptor) for size in (2, 4))
    outers = tuple(OuterBlocks(size, float("inf"), 16, 16, 16, 1, 1) for size in (2, 4))
    return CudaBlocks("a test", 1, compared_up_to_tokens, 1, (*vector, *matrix), outers, RowBlocks(4, 16, 4, 64, 1))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", NAMES)
def test_an_operation_equals_its_reference(name: str, shape: tuple[int, int, int, int]) -> None:
    assert close(*cases(*shape, torch.float32)[name])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("tokens", [1, 40])
@pytest.mark.parametrize("name", NAMES)
def test_an_operation_in_half_precision_equals_its_reference(name: str, tokens: int, dtype: torch.dtype) -> None:
    assert close(*cases(tokens, 2, 9, 7, dtype)[name])


@pytest.mark.parametrize("method", ["vector", "matrix"])
@pytest.mark.parametrize("name", NAMES)
def test_an_operation_equals_its_reference_in_many_small_blocks(
    name: str, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cuda_blocks, "CUDA_BLOCKS", small_blocks(method))

    assert close(*cases(10, 1, 17, 19, torch.float32)[name])


@pytest.mark.parametrize("descriptor", [False, True])
@pytest.mark.parametrize("tokens, depth", [(12, 4), (40, 2), (200, 1), (200, 3)])
@pytest.mark.parametrize("name", ["leaf_linear[bias]", "leaf_linear_input_gradient", "path_linear[nodes]"])
def test_a_product_equals_its_reference_whoever_sorts_and_loads(
    name: str, tokens: int, depth: int, descriptor: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        cuda_blocks, "CUDA_BLOCKS", small_blocks("matrix", compared_up_to_tokens=5, descriptor=descriptor)
    )

    # Widths of whole blocks and not, in rows of 16 bytes as the copy engine asks.
    for p, q in ((32, 16), (24, 40)):
        assert close(*cases(tokens, depth, p, q, torch.bfloat16)[name])


@settings(max_examples=60)
@given(
    name=st.sampled_from(NAMES),
    tokens=st.integers(0, 24),
    depth=st.integers(0, 4),
    p=st.integers(1, 9),
    q=st.integers(1, 9),
    dtype=st.sampled_from(DTYPES),
)
def test_an_operation_equals_its_reference_for_any_small_shape(
    name: str, tokens: int, depth: int, p: int, q: int, dtype: torch.dtype
) -> None:
    assert close(*cases(tokens, depth, p, q, dtype)[name])


@pytest.mark.parametrize("tokens", [3, 12])
@pytest.mark.parametrize("name", NAMES)
def test_an_operation_takes_tensors_that_are_not_contiguous(name: str, tokens: int) -> None:
    operation, arguments = cases(tokens, 2, 4, 6, torch.float32)[name]
    apart = tuple(strided(a) if isinstance(a, torch.Tensor) else a for a in arguments)

    assert close(operation, apart)


def strided(tensor: torch.Tensor) -> torch.Tensor:
    """The same numbers, every other one of a larger tensor, with the first dimension innermost."""
    wide = tensor.new_empty(*reversed(tensor.shape), 2)
    view = wide[..., 0].permute(*reversed(range(tensor.dim())))
    view.copy_(tensor)
    assert not view.is_contiguous()
    return view


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", NAMES)
def test_a_repetition_is_equal_to_the_bit(name: str, dtype: torch.dtype) -> None:
    operation, arguments = cases(30, 2, 4, 7, dtype)[name]

    first, second = (operation(*arguments, "cuda") for _ in range(2))

    assert torch.equal(first, second)


def test_gradients_of_half_precision_do_not_lose_terms_in_long_sums() -> None:
    ones = torch.ones(600, 1, dtype=torch.bfloat16, device=DEVICE)

    gradient = leaf_linear_weight_gradient(ones, ones, whole(1, 600), 1, "cuda")

    # A running bfloat16 sum of ones stops at 256.
    assert 600 == gradient.item()


@pytest.mark.parametrize("tokens", [1, 12, 40])
def test_a_wrong_node_is_seen(tokens: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from capratio.kernels.cuda.grouped_triton import multiply

    # A planted error: each token goes to the leaf beside its own.
    wrong = "capratio.kernels.leaf_linear.cuda.multiply"
    monkeypatch.setattr(wrong, lambda x, weight, key: multiply(x, weight, key ^ 1))

    assert not close(*cases(tokens, 3, 9, 7, torch.float32)["leaf_linear"])


@pytest.mark.parametrize("name", ["path_linear[nodes]", "path_linear[leaves]", "path_linear_weight_gradient[leaves]"])
def test_a_wrong_node_of_a_path_is_seen(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from capratio.kernels.cuda import leaf_triton
    from capratio.kernels.path_linear import cuda

    monkeypatch.setattr(cuda, "leaves", lambda bits: leaf_triton.leaves(bits) ^ 1)

    assert not close(*cases(12, 3, 9, 7, torch.float32)[name])


@pytest.mark.parametrize(
    "name", ["leaf_linear_weight_gradient", "path_bias_table_gradient", "unit_lookup_weight_gradient"]
)
def test_a_group_that_begins_a_token_late_is_seen(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    right = token_tiles.TokenOrder.offsets
    monkeypatch.setattr(token_tiles.TokenOrder, "offsets", lambda tokens, rows: (right(tokens, rows) + 1).clamp(max=40))

    assert not close(*cases(40, 2, 5, 7, torch.float32)[name])


@pytest.mark.parametrize("name", [name for name in NAMES if "touched" in name])
def test_a_key_in_the_place_of_another_is_seen(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    right = token_tiles.TokenOrder.compacted

    def shifted(tokens: token_tiles.TokenOrder, rows: int) -> tuple[torch.Tensor, token_tiles.TokenOrder]:
        indices, places = right(tokens, rows)
        return indices.roll(1), replace(places, keys=places.keys + 1)

    monkeypatch.setattr(token_tiles.TokenOrder, "compacted", shifted)

    assert not close(*cases(40, 2, 5, 7, torch.float32)[name])


def test_leaves_and_prefixes_are_equal_to_the_bit() -> None:
    operation, (x, tree, bits, _) = cases(24, 3, 9, 7, torch.float32)["path_linear[leaves]"]

    assert torch.equal(operation(x, tree, bits, "leaves", "cuda"), operation(x, tree, bits, "prefixes", "cuda"))


def test_a_layer_runs_its_operations_by_the_name_of_their_backend() -> None:
    layer = TreeGatedLinear(9, 7, 3, backend="cuda", device=DEVICE)
    x = drawn(5, 9, dtype=torch.float32, seed=8).requires_grad_()
    plain = TreeGatedLinear(9, 7, 3, backend="reference", device=DEVICE)
    plain.load_state_dict(layer.state_dict())

    grads = [torch.autograd.grad(module(x).square().sum(), (x, module.weight)) for module in (layer, plain)]

    assert "cuda" == layer.ran_backend
    for ours, expected in zip(*grads, strict=True):
        assert torch.allclose(expected, ours, rtol=1e-4, atol=1e-4)


def test_a_tile_that_begins_a_token_late_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    from capratio.kernels.cuda.tiles_triton import tile_tokens

    def late(*given: Any) -> Any:
        tiles = tile_tokens(*given)
        return tiles._replace(begins=tiles.begins + 1)

    monkeypatch.setattr("capratio.kernels.cuda.grouped_triton.tile_tokens", late)

    assert not close(*cases(40, 2, 9, 7, torch.float32)["leaf_linear"])


@pytest.mark.cuda
@pytest.mark.skipif(INTERPRETED, reason="triton interprets, and starts nothing on a device")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NAMES)
def test_an_operation_can_be_captured_in_a_cuda_graph(name: str, dtype: torch.dtype) -> None:
    operation, arguments = cases(40, 3, 33, 17, dtype)[name]
    # Compiled before the capture, and on another stream, as torch asks.
    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    with torch.cuda.stream(stream):
        expected = operation(*arguments, "cuda")
    torch.cuda.synchronize()

    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured = operation(*arguments, "cuda")
    captured.fill_(7)
    graph.replay()
    torch.cuda.synchronize()

    assert torch.equal(expected, captured)
