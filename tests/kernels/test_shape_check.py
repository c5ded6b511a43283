"""Operations refuse tensors that do not fit one another, before a compiled kernel reads beyond one."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from capratio.errors import InputError
from capratio.kernels.leaf_linear import leaf_linear, leaf_linear_input_gradient, leaf_linear_weight_gradient
from capratio.kernels.path_bias import add_path_bias, path_bias, path_bias_table_gradient, path_bias_touched_gradient
from capratio.kernels.path_linear import (
    path_linear,
    path_linear_input_gradient,
    path_linear_touched_gradient,
    path_linear_weight_gradient,
)
from capratio.kernels.unit_lookup import unit_lookup, unit_lookup_touched_gradient, unit_lookup_weight_gradient

X, WEIGHT, NODE = torch.ones(4, 3), torch.ones(5, 2, 3), torch.zeros(4, dtype=torch.int64)
GRAD, TABLE = torch.ones(4, 2), torch.ones(7, 2)
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
        (unit_lookup_weight_gradient, (GRAD[:3], X, UNITS, 7), "x"),
        (path_linear, (X, WEIGHT, BITS[:2], "nodes"), "bits"),
        (path_linear, (X, WEIGHT, BITS.int(), "nodes"), "give torch.bool"),
        (path_linear_input_gradient, (GRAD[:2], WEIGHT, BITS, "nodes"), "bits"),
        (path_linear_weight_gradient, (GRAD, X[:2], BITS, 7, "nodes"), "x"),
        (path_linear_touched_gradient, (GRAD, X, BITS[:3], 7, "nodes"), "bits"),
        (unit_lookup_touched_gradient, (GRAD, X[:, :2], UNITS, 7), "node"),
        (path_bias_table_gradient, (GRAD, NODE[:1], 2), "leaf"),
        (path_bias_touched_gradient, (GRAD[:3], NODE, 2), "leaf"),
        (path_bias, (GRAD, TABLE[:, :1], NODE, 2), "table"),
        (add_path_bias, (GRAD, TABLE, NODE[:2], 2), "leaf"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(operation: Callable[..., Any], given: tuple[Any, ...], name: str) -> None:
    with pytest.raises(InputError, match=name):
        operation(*given)


def test_a_bias_of_another_width_is_refused() -> None:
    with pytest.raises(InputError, match="bias of shape"):
        leaf_linear(X, WEIGHT, NODE, bias=torch.ones(3))
