"""What a layer cannot take is refused in one sentence that says what was given and what to do."""

import pytest
import torch
from torch import nn

from capratio.cost.spec import LayerSpec
from capratio.errors import InputError
from capratio.layers.dense import Dense
from capratio.layers.hyperplane_gate import HyperplaneGate
from capratio.layers.sign_gate import SignGate
from capratio.layers.table import build
from capratio.layers.tree_gated_linear import TreeGatedLinear
from capratio.layers.unit_sign_gate import UnitSignGate
from capratio.layers.unit_tree_linear import UnitTreeLinear


@pytest.mark.parametrize("shape", [(8,), (2, 10), (0, 3), (9, 1), ()])
def test_a_wrong_last_dimension_is_refused(spec: LayerSpec, shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="its last dimension must be the layer's in_features=9"):
        build(spec)(torch.zeros(shape))


def test_a_wrong_last_dimension_is_refused_by_dense() -> None:
    with pytest.raises(InputError, match=r"x has shape \(2, 8\); its last dimension must be the layer's in_features=9"):
        Dense(9, 5)(torch.zeros(2, 8))


def test_another_dtype_is_refused(spec: LayerSpec) -> None:
    with pytest.raises(InputError, match=r"x is torch.float64 and the layer's weights are torch.float32; convert"):
        build(spec)(torch.zeros(2, 9, dtype=torch.float64))


def test_a_gate_input_of_another_width_is_refused(spec: LayerSpec) -> None:
    with pytest.raises(InputError, match="its last dimension must be the gate's features=9"):
        build(spec)(torch.zeros(2, 9), gate_input=torch.zeros(2, 8))


def test_a_gate_input_of_other_tokens_is_refused(spec: LayerSpec) -> None:
    with pytest.raises(InputError, match="all dimensions but the last must be the same"):
        build(spec)(torch.zeros(2, 9), gate_input=torch.zeros(3, 9))


def test_a_missing_gate_input_is_named() -> None:
    layer = TreeGatedLinear(9, 5, 3, gate=SignGate(20, 3))

    with pytest.raises(InputError, match=r"features=20 \(give the tensor that the gate reads as gate_input\)"):
        layer(torch.zeros(2, 9))


def test_a_negative_depth_is_refused() -> None:
    with pytest.raises(InputError, match="depth=-1 was given; a depth is a number of gating bits"):
        TreeGatedLinear(9, 5, -1)


@pytest.mark.parametrize("gate", ["signs", "thresholds"])
def test_a_depth_of_more_than_the_features_that_give_bits_is_refused(gate: str) -> None:
    with pytest.raises(InputError, match="depth=10 was given, but only 9 features give bits; use a depth of at most 9"):
        UnitTreeLinear(9, 5, 10, gate=gate)

    assert 9 == UnitTreeLinear(9, 5, 9, gate=gate).depth


def test_hyperplanes_may_be_more_than_the_features() -> None:
    layer = TreeGatedLinear(2, 3, 5, gate="hyperplanes")

    assert (4, 5) == tuple(layer.bits(torch.zeros(4, 2)).shape)


def test_a_table_larger_than_any_memory_is_refused() -> None:
    with pytest.raises(InputError, match="more than any memory; use a smaller depth"):
        TreeGatedLinear(100, 5, 60)


@pytest.mark.parametrize("gate", ["thresholds", "sings"])
def test_an_unknown_gate_of_shared_bits_is_refused(gate: str) -> None:
    with pytest.raises(InputError, match="give a gate module or one of signs, hyperplanes"):
        TreeGatedLinear(9, 5, 3, gate=gate)


def test_an_unknown_gate_of_own_bits_is_refused() -> None:
    with pytest.raises(InputError, match="give a gate module or one of signs, thresholds"):
        UnitTreeLinear(9, 5, 3, gate="hyperplanes")


def test_a_gate_of_another_depth_is_refused() -> None:
    with pytest.raises(InputError, match="a gate with depth=2 and units=None was given; this layer needs depth=3"):
        TreeGatedLinear(9, 5, 3, gate=HyperplaneGate(9, 2))


def test_a_gate_of_own_bits_is_refused_where_bits_are_shared_and_the_other_way_round() -> None:
    with pytest.raises(InputError, match="this layer needs depth=3 and bits shared by all units"):
        TreeGatedLinear(9, 5, 3, gate=UnitSignGate(9, 3, 9))
    with pytest.raises(InputError, match="this layer needs depth=3 and bits of their own for 9 units"):
        UnitTreeLinear(9, 5, 3, gate=UnitSignGate(9, 3, 8))


def test_an_unknown_init_is_refused(spec: LayerSpec) -> None:
    with pytest.raises(InputError, match="init='zeros' is not known; it must be one of dense, random, empty"):
        build(spec, init="zeros")


def test_an_unknown_order_is_refused() -> None:
    with pytest.raises(InputError, match="order='fastest' is not known; it must be one of auto, leaves"):
        TreeGatedLinear(9, 5, 3, order="fastest")


@pytest.mark.parametrize("sizes", [(0, 5), (5, 0)])
def test_sizes_under_one_are_refused(sizes: tuple[int, int]) -> None:
    with pytest.raises(InputError, match="both must be at least 1"):
        TreeGatedLinear(*sizes, 0)


@pytest.mark.parametrize("sizes", [(0, 0), (4, -1)])
def test_a_gate_without_features_or_of_negative_depth_is_refused(sizes: tuple[int, int]) -> None:
    with pytest.raises(InputError):
        HyperplaneGate(*sizes)


def test_a_gate_without_units_is_refused() -> None:
    with pytest.raises(InputError, match="a gate for 0 input units"):
        UnitSignGate(4, 2, 0)


@pytest.mark.parametrize("sizes", [(9.0, 5, 3), (9, 5.0, 3), (9, 5, 3.0), (9, 5, True)])
def test_a_size_that_is_no_integer_is_refused(sizes: tuple[int, int, int]) -> None:
    with pytest.raises(InputError, match="it must be an integer"):
        TreeGatedLinear(*sizes)


@pytest.mark.parametrize("given", ["a name", nn.Identity()])
def test_only_a_linear_layer_is_taken_over(given: nn.Linear) -> None:
    with pytest.raises(InputError, match=r"from_linear takes an nn\.Linear"):
        TreeGatedLinear.from_linear(given, 2)
