"""Gates choose distinct features with a seed, and give one bit for a value above zero."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from capratio.layers.hyperplane_gate import HyperplaneGate
from capratio.layers.seeds import chosen_features
from capratio.layers.sign_gate import SignGate
from capratio.layers.unit_sign_gate import UnitSignGate
from capratio.layers.unit_threshold_gate import UnitThresholdGate


@given(trees=st.integers(1, 5), features=st.integers(1, 20), seed=st.integers(0, 2**31), data=st.data())
def test_chosen_features_of_a_tree_are_distinct_and_in_range(
    trees: int, features: int, seed: int, data: st.DataObject
) -> None:
    depth = data.draw(st.integers(0, features))

    chosen = chosen_features(trees, features, depth, seed)

    assert (trees, depth) == tuple(chosen.shape)
    for row in chosen.tolist():
        assert depth == len(set(row) & set(range(features)))


def test_a_seed_chooses_the_same_features_again_and_another_seed_others() -> None:
    first, again, other = (UnitSignGate(50, 8, 6, seed=seed).chosen for seed in (1, 1, 2))

    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_units_choose_features_of_their_own() -> None:
    rows = UnitSignGate(50, 8, 6).chosen.tolist()

    assert 6 == len({tuple(row) for row in rows})


def test_the_choice_leaves_the_random_state_of_torch_alone() -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()

    SignGate(50, 8, seed=3)

    assert torch.equal(before, torch.get_rng_state())


def test_a_sign_gate_reads_its_features() -> None:
    gate = SignGate(4, 3)
    gate.chosen.copy_(torch.tensor([2, 0, 3]))

    assert [True, False, False] == gate.bits(torch.tensor([-1.0, 9.0, 0.5, 0.0])).tolist()


def test_a_unit_sign_gate_reads_the_features_of_each_unit() -> None:
    gate = UnitSignGate(3, 2, 2)
    gate.chosen.copy_(torch.tensor([[0, 1], [1, 2]]))

    assert [[[True, False], [False, True]]] == gate.bits(torch.tensor([[1.0, -1.0, 2.0]])).tolist()


def test_thresholds_move_the_point_at_which_a_bit_is_one() -> None:
    gate, x = UnitThresholdGate(3, 2, 2), torch.tensor([[1.0, -1.0, 2.0]])
    gate.chosen.copy_(torch.tensor([[0, 1], [1, 2]]))
    assert [[[True, False], [False, True]]] == gate.bits(x).tolist()

    with torch.no_grad():
        gate.threshold.copy_(torch.tensor([[1.0, -2.0], [-1.5, 2.0]]))

    assert [[[False, True], [True, False]]] == gate.bits(x).tolist()


def test_hyperplanes_are_drawn_and_drawn_again_by_a_reset() -> None:
    gate = HyperplaneGate(50, 40)
    first = gate.weight.detach().clone()

    gate.reset_parameters()

    assert pytest.approx(1.0, rel=0.1) == first.std().item()
    assert not torch.equal(first, gate.weight)


def test_a_gate_names_its_sizes() -> None:
    assert "SignGate(features=4, depth=3)" == repr(SignGate(4, 3))
    assert "UnitThresholdGate(features=4, depth=3, units=2)" == repr(UnitThresholdGate(4, 3, 2))
