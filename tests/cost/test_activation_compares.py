"""Compares of relu are told apart from routing: counted by hand, and gone where nothing is rectified."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from capratio.cost.systems.block_policy import BlockPolicySpec
from capratio.cost.systems.contract import SystemSpec, Visits
from capratio.cost.systems.table import SYSTEMS

# Of 3 tokens: options, what they reach, and the compares of a forward pass and of a training step by hand.
CASES: list[tuple[str, Mapping[str, str], Mapping[str, int], int, int]] = [
    # 2 hidden layers of 8 units a token; as many again in the gradient.
    ("block-policy", {"hidden": "8", "blocks": "4", "hidden_layers": "2"}, {}, 48, 96),
    # 6 assignments to experts of 5 units; the gradients compare twice.
    ("moe-sparse", {"hidden": "5", "experts": "4"}, {"assignments": 6}, 30, 90),
    # 2 experts of rank 4 a token.
    ("memory-table", {"lookup": "softmax", "consumption": "expert", "rank": "4", "top_k": "2"}, {}, 24, 72),
    ("memory-table", {"lookup": "softmax", "consumption": "add", "top_k": "2"}, {}, 0, 0),
    # 2 of the 3 tokens are computed, 7 units.
    ("altup", {"hidden": "7"}, {"computed": 2}, 14, 28),
    ("dynamic-gate", {"hidden": "6"}, {}, 18, 36),
    # GEGLU, tanh and no units.
    ("moe-st", {}, {}, 0, 0),
    ("act", {}, {}, 0, 0),
    ("product-key", {}, {}, 0, 0),
    ("winner-take-all", {}, {}, 0, 0),
]


def spec_of(layer: str, options: Mapping[str, str]) -> SystemSpec:
    """Between 8 features and 8."""
    return SYSTEMS[layer].from_options(8, 8, options)


@pytest.mark.parametrize(("layer", "options", "counts", "forward", "train"), CASES)
def test_the_compares_of_relu_are_those_counted_by_hand(
    layer: str, options: Mapping[str, str], counts: Mapping[str, int], forward: int, train: int
) -> None:
    spec, visits = spec_of(layer, options), Visits(3, counts)

    assert forward == spec.activation_compares(visits, "forward") == spec.activation_compares(visits, "decode")
    assert train == spec.activation_compares(visits, "train")


@pytest.mark.parametrize("pass_", ["forward", "train"])
def test_a_policy_of_tanh_has_so_many_routing_operations_less(pass_: str) -> None:
    rectified = BlockPolicySpec(8, 8, hidden=16, blocks=4, hidden_layers=2)
    smooth = replace(rectified, activation="tanh")
    visits = rectified.one_token()

    counts = [spec.executed(visits, pass_).routing_operations for spec in (rectified, smooth)]

    assert counts[0] - counts[1] == rectified.activation_compares(visits, pass_) > 0
    assert 0 == smooth.activation_compares(visits, pass_)


@pytest.mark.parametrize("layer", SYSTEMS)
@pytest.mark.parametrize("pass_", ["forward", "train"])
def test_they_are_a_part_of_the_routing_operations(layer: str, pass_: str) -> None:
    spec = spec_of(layer, {})
    visits = spec.one_token()

    assert 0 <= spec.activation_compares(visits, pass_) <= spec.executed(visits, pass_).routing_operations
