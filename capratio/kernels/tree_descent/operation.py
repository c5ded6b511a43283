"""tree_descent as torch operations: the way to a leaf, without a gradient, and a way whose values are neurons."""

from typing import Any, Protocol

import torch

from capratio.cost import op_formulas
from capratio.cost.operation import OperationCost
from capratio.kernels.backends import AUTO
from capratio.kernels.definition import Context, define, differentiate
from capratio.kernels.shape_check import check_nodes, check_shapes
from capratio.kernels.unit_lookup import unit_lookup, unit_lookup_weight_gradient


def tree_descent(
    x: torch.Tensor, weight: torch.Tensor, offset: torch.Tensor, depth: int, backend: str = AUTO
) -> torch.Tensor:
    """The leaf that each token comes to: from node n, 0 first, it goes to 2n + 1 + [weight_n . x + offset_n > 0].

    Args: x: (N, p). weight: (2^k - 1, p), a hyperplane for each node in level order. offset: (2^k - 1,). depth: k.
    backend: one of ``capratio.kernels.backends.NAMES``.

    Returns int64 (N,) in 0..2^k - 1, without a gradient: a decision is a constant.

    Raises InputError for shapes that do not fit one another, another number of hyperplanes, or a backend that is not
    known or cannot run where x lies.

    Source: Belcak & Wattenhofer 2023, arXiv 2308.14711, read in the authors' code. A score of exactly zero goes left,
    as in their training; their evaluation takes it right.
    """
    numbers = (("x", x, "Np"), ("weight", weight, "Rp"), ("offset", offset, "R"))
    check_shapes("tree_descent", numbers, one_dtype=False)
    check_nodes("tree_descent", "weight", len(weight), depth)
    out: torch.Tensor = _TREE_DESCENT(x.detach(), weight.detach(), offset.detach(), depth, backend)
    return out


def neuron_path(
    x: torch.Tensor, weight: torch.Tensor, depth: int, backend: str = AUTO
) -> tuple[torch.Tensor, torch.Tensor]:
    """The neurons on each token's way down and their values, value_l = weight[node_l] . x, by which the way goes on.

    From node n, 0 first, it goes to 2n + 1 + [value > 0], k times.

    Args: x: (N, p). weight: (2^(k+1) - 1, p), a neuron for each node in level order. depth: k. backend: one of
    ``capratio.kernels.backends.NAMES``.

    Returns node, int64 (N, k + 1), and value, (N, k + 1), which is differentiable in x and weight; the nodes are taken
    as constants.

    Raises InputError as tree_descent does.

    Source: Belcak & Wattenhofer 2023, arXiv 2311.10770, read in the authors' code; a value of zero as in tree_descent.
    """
    check_shapes("neuron_path", (("x", x, "Np"), ("weight", weight, "Rp")))
    check_nodes("neuron_path", "weight", len(weight), depth + 1)
    node, value = _NEURON_PATH(x, weight, depth, backend)
    return node, value


def _descent_cost(
    x: torch.Tensor, weight: torch.Tensor, offset: torch.Tensor, depth: int, *, backend: str
) -> OperationCost:
    tokens, p = x.shape
    return op_formulas.tree_descent(tokens, p, depth, itemsize=x.itemsize)


def _path_cost(x: torch.Tensor, weight: torch.Tensor, depth: int, *, backend: str) -> OperationCost:
    tokens, p = x.shape
    return op_formulas.neuron_path(tokens, p, depth, itemsize=x.itemsize)


def _fake_path(x: torch.Tensor, weight: torch.Tensor, depth: int) -> tuple[torch.Tensor, torch.Tensor]:
    size = x.shape[0], depth + 1
    return x.new_empty(size, dtype=torch.int64), x.new_empty(size)


_TREE_DESCENT = define(
    "tree_descent",
    "tree_descent(Tensor x, Tensor weight, Tensor offset, int depth) -> Tensor",
    lambda x, weight, offset, depth: x.new_empty(x.shape[0], dtype=torch.int64),
    _descent_cost,
)
_NEURON_PATH = define(
    "tree_descent",
    "neuron_path(Tensor x, Tensor weight, int depth) -> (Tensor node, Tensor value)",
    _fake_path,
    _path_cost,
)


class _PathContext(Context, Protocol):
    backend: str


def _save(ctx: _PathContext, inputs: tuple[Any, ...], output: tuple[torch.Tensor, torch.Tensor]) -> None:
    x, weight, _, ctx.backend = inputs
    ctx.save_for_backward(x, weight, output[0])


def _backward(ctx: _PathContext, _: None, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
    x, weight, node = ctx.saved_tensors
    needs_x, needs_weight = ctx.needs_input_grad[:2]
    # The values are the products of x with rows of the table: a look-up seen from the side of its input gradient.
    bag = node.unsqueeze(2)
    return (
        unit_lookup(grad, weight, bag, ctx.backend) if needs_x else None,
        unit_lookup_weight_gradient(x, grad, bag, weight.shape[0], ctx.backend) if needs_weight else None,
        None,
        None,
    )


differentiate(_NEURON_PATH, _backward, _save)
