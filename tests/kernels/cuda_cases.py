"""Every operation that has a CUDA kernel, with arguments, and whether the kernel equals the reference in float64."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch

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
from tests.kernels.cuda_device import DEVICE

# Of the largest result: inputs are the same for the oracle, so that what is left is the rounding of results and of
# formed matrices.
TOLERANCES = {torch.float32: 1e-5, torch.bfloat16: 2e-2, torch.float16: 2e-3}
DTYPES = tuple(TOLERANCES)

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


# Which rows are touched depends neither on the dtype nor on the blocks.
NUMBERS = tuple(name for name in NAMES if not name.endswith("[rows]"))
# Operations whose kernels have two methods, and are chosen blocks for either.
PRODUCTS = (
    "leaf_linear",
    "leaf_linear[bias]",
    "leaf_linear_input_gradient",
    "path_linear[nodes]",
    "path_linear[leaves]",
    "path_linear_input_gradient[nodes]",
    "path_linear_input_gradient[leaves]",
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
