"""Operations refuse tensors that do not fit one another, before a compiled kernel reads beyond one."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from capratio.errors import InputError
from capratio.kernels.leaf_index import leaf_index
from capratio.kernels.leaf_linear import leaf_linear, leaf_linear_input_gradient, leaf_linear_weight_gradient
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
from capratio.kernels.unit_lookup import unit_lookup, unit_lookup_touched_gradient, unit_lookup_weight_gradient

X, WEIGHT, NODE = torch.ones(4, 3), torch.ones(5, 2, 3), torch.zeros(4, dtype=torch.int64)
GRAD, TABLE = torch.ones(4, 2), torch.ones(7, 2)
PATHS = torch.ones(7, 2, 3)
UNITS, BITS = torch.zeros(4, 3, 2, dtype=torch.int64), torch.zeros(4, 2, dtype=torch.bool)


@pytest.mark.parametrize(
    "operation, given, name",
    [
        (leaf_linear, (X, WEIGHT, NODE[:3]), "node"),
        (leaf_linear, (X[:, :2], WEIGHT, NODE), "weight"),
        (leaf_linear, (X[:3], WEIGHT, NODE), "node"),
        (leaf_linear, (X[0], WEIGHT, NODE), "x"),
        (leaf_linear, (X[None], WEIGHT, NODE), "x"),
        (leaf_linear, (X, WEIGHT[0], NODE), "weight"),
        (leaf_linear, (X.double(), WEIGHT, NODE), "float64"),
        (leaf_linear, (X.int(), WEIGHT.int(), NODE), "floating-point"),
        (leaf_linear, (X, WEIGHT, NODE.float()), "node of torch.float32; give torch.int64"),
        (leaf_linear_input_gradient, (GRAD[:, :1], WEIGHT, NODE), "weight"),
        (leaf_linear_weight_gradient, (GRAD, X[:2], NODE, 5), "x"),
        (unit_lookup, (X, TABLE, UNITS[:, :2]), "node"),
        (unit_lookup, (X, TABLE[0], UNITS), "table"),
        (unit_lookup_weight_gradient, (GRAD[:3], X, UNITS, 7), "x"),
        (path_linear, (X, PATHS, BITS[:2]), "bits"),
        (path_linear, (X, PATHS, BITS.int()), "give torch.bool"),
        (path_linear, (X, WEIGHT, BITS), "weight of 5 rows for a path through 3 levels; give 7"),
        (path_linear_input_gradient, (GRAD[:2], PATHS, BITS), "bits"),
        (path_linear_input_gradient, (GRAD, WEIGHT, BITS), "weight of 5 rows"),
        (path_linear_weight_gradient, (GRAD, X[:2], BITS, 7), "x"),
        (path_linear_weight_gradient, (GRAD, X, BITS, 6), "gradient of 6 rows"),
        (path_linear_touched_gradient, (GRAD, X, BITS[:3], 7), "bits"),
        (path_linear_touched_gradient, (GRAD, X, BITS, 8), "gradient of 8 rows"),
        (unit_lookup_touched_gradient, (GRAD, X[:, :2], UNITS, 7), "node"),
        (path_bias_table_gradient, (GRAD, NODE[:1], 2), "leaf"),
        (path_bias_touched_gradient, (GRAD[:3], NODE, 2), "leaf"),
        (path_bias, (GRAD, TABLE[:, :1], NODE, 2), "table"),
        (path_bias, (GRAD, TABLE, NODE, 3), "table of 7 rows for a path through 4 levels; give 15"),
        (add_path_bias, (GRAD, TABLE, NODE[:2], 2), "leaf"),
        (add_path_bias, (GRAD, TABLE, NODE, 1), "table of 7 rows"),
        (tree_descent, (X, TABLE, torch.ones(7), 3), "weight"),
        (tree_descent, (GRAD, TABLE, torch.ones(3), 3), "offset"),
        (tree_descent, (GRAD, TABLE, torch.ones(7), 2), "weight of 7 rows"),
        (neuron_path, (X, TABLE, 2), "weight"),
        (leaf_index, (NODE[:, None],), "bits of torch.int64; give torch.bool"),
        (sign_leaf, (X[0], NODE[:2]), "x"),
        (sign_leaf, (X, NODE[:2].int()), "chosen of torch.int32; give torch.int64"),
        (tree_route, (NODE[:, None],), "torch.int64; give .N, k., floating point or bool"),
        (tree_route, (BITS[0],), "shape"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(operation: Callable[..., Any], given: tuple[Any, ...], name: str) -> None:
    with pytest.raises(InputError, match=name):
        operation(*given)


def test_a_bias_of_another_width_is_refused() -> None:
    with pytest.raises(InputError, match="bias of shape"):
        leaf_linear(X, WEIGHT, NODE, bias=torch.ones(3))
