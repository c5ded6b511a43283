"""The cost of the block policy network: tiny ones counted by hand, and expectations against all masks."""

from itertools import product

import pytest

from capratio.cost.flop import Flop
from capratio.cost.layer_names import layer_id
from capratio.cost.systems.block_policy import BlockPolicySpec
from capratio.cost.systems.contract import Visits
from capratio.cost.systems.table import SYSTEMS
from capratio.errors import InputError

# p = 3, q = 2, h = 4 in two blocks of s = 2.
ONE = BlockPolicySpec(3, 2, hidden=4, blocks=2, rate=0.5)
TWO = BlockPolicySpec(3, 2, hidden=4, blocks=2, hidden_layers=2, rate=0.5)
NAMES = BlockPolicySpec.counts


def visits(tokens: int, *counts: int) -> Visits:
    return Visits(tokens, dict(zip(NAMES, counts, strict=True)))


# Token 0 has block 0 in layer 1 and both in layer 2, token 1 both in layer 1 and block 1 in layer 2: 1 + 2 live blocks
# in layer 1, pairs 1·2 + 2·1 between, 2 + 1 in layer 2. Pairs (in, out) are 00 and 01, then 01 and 11: three distinct.
TWO_TOKENS = visits(2, 3, 4, 3, 6, 2, 3, 2, 4)


def test_the_layer_is_in_the_table() -> None:
    assert "block-policy" == layer_id("block-policy")
    assert BlockPolicySpec is SYSTEMS["block-policy"]


def test_parameters_by_hand() -> None:
    # W 4·3, V 2·4; b 4, c 2; Z 2·3, d 2.
    assert (20, 34) == (ONE.weight_parameters, ONE.parameters)
    # And a layer more: W 4·4, b 4, Z 2·4, d 2.
    assert (36, 64) == (TWO.weight_parameters, TWO.parameters)


def test_one_token_in_one_of_two_blocks_by_hand() -> None:
    token = ONE.one_token()

    assert visits(1, 1, 0, 1, 1, 1, 0, 1, 1) == token
    # A block of 2·3 and one of 2·2 weights, 2 and 2 biases, and the policy's 8.
    assert 6 + 4 + 2 + 2 + 8 == ONE.touched_parameters(token)
    # Products 2·2·3 and 2·2·2; the policy's 2·2·3; a sigmoid and a sum of each of 2 offsets; offsets 2, biases 2 and 2.
    assert Flop(product=20, overhead=4, gating=12, bias=6) == ONE.law()
    # Bits 1 + 2 and a pair of the first product, 2 + 1 and a pair of the last; 2 draws, 4 rectifiers.
    assert 4 + 4 + 2 + 4 == ONE.executed(token, "decode").routing_operations


def test_training_on_one_token_by_hand() -> None:
    cost = ONE.executed(ONE.one_token(), "train")

    # Two more products each; sums over one token add nothing, and the policy has no gradient.
    assert Flop(product=60, overhead=4, gating=12, bias=6) == cost.flop
    # Three products of 4 + 4; 2 draws; 4 rectifiers and their gradient; bits of both biases' gradients, 2 and 1.
    assert 24 + 2 + 8 + 3 == cost.routing_operations


def test_two_tokens_in_two_layers_by_hand() -> None:
    cost = TWO.executed(TWO_TOKENS, "train")

    # First 3 pairs of 2·2·3, middle 4 of 2·2·2, last 3 of 2·2·2: 36 + 32 + 24, three times.
    # Policies 2·2·2·3 and 2·2·2·4. Coins 2·2·2 and their 4 offsets. Offsets 8; biases 6 blocks of 2 and 2 outputs of 2,
    # their gradients (6 - 4)·2 and (2 - 1)·2.
    assert Flop(product=276, overhead=12, gating=56, bias=8 + 12 + 4 + 4 + 2) == cost.flop
    # 3 weight blocks of layer 1 are 2, of 3·2; 3 of 2·2; 2 of 2·2; 4 blocks of 2 biases, 2 outputs; policies 8 + 10.
    assert 12 + 12 + 8 + 8 + 2 + 18 == TWO.touched_parameters(TWO_TOKENS)
    # 2 inputs of 3 and outputs of 2, and what is read; in training both again, and 36 weights and 10 biases.
    assert 4 * (10 + 60) == TWO.compulsory_bytes(TWO_TOKENS, "forward", 4)
    assert 4 * (10 + 60 + 10 + 46) == TWO.compulsory_bytes(TWO_TOKENS, "train", 4)


def test_tanh_costs_a_step_of_each_unit_and_three_for_its_gradient() -> None:
    tanh = BlockPolicySpec(3, 2, hidden=4, blocks=2, rate=0.5, activation="tanh")
    token = tanh.one_token()

    assert 4 + 4 == tanh.executed(token, "forward").flop.overhead
    assert 4 + 4 + 12 == tanh.executed(token, "train").flop.overhead
    assert 4 + 4 + 2 == tanh.executed(token, "forward").routing_operations


def test_no_tokens_touch_nothing() -> None:
    none = visits(0, *[0] * 8)

    assert 0 == TWO.touched_parameters(none)
    assert 0.0 == TWO.expected_touched_parameters(0)
    assert dict.fromkeys(NAMES, 0.0) == TWO.expected_counts(0)
    # The offsets of 4 coins are summed all the same.
    assert Flop(overhead=4) == TWO.executed(none, "forward").flop


def test_a_token_has_at_least_one_block_in_the_papers_accounting() -> None:
    assert 1 == BlockPolicySpec(3, 2, hidden=4, blocks=2, rate=0.01).one_token()["live_blocks"]
    assert 3 == BlockPolicySpec(3, 2, hidden=16, blocks=16, rate=0.18).one_token()["live_blocks"]


def counted(masks: tuple[tuple[tuple[bool, ...], ...], ...]) -> list[int]:
    """The counts of tokens' masks, each of which has one row a layer, by sets."""
    alive = [
        (n, layer, b) for n, token in enumerate(masks) for layer, row in enumerate(token) for b in range(2) if row[b]
    ]
    middle = [(n, a, b) for n, first, a in alive for m, second, b in alive if n == m and first == 0 and second == 1]
    first, last = ([(n, b) for n, layer, b in alive if layer == wanted] for wanted in (0, 1))
    groups = (first, middle, last, alive)
    return [len(group) for group in groups] + [len({entry[1:] for entry in group}) for group in groups]


def test_expected_counts_are_those_of_all_masks() -> None:
    spec = BlockPolicySpec(3, 2, hidden=4, blocks=2, hidden_layers=2, rate=0.3)
    expected, touched = [0.0] * 8, 0.0
    for coins in product((False, True), repeat=8):
        chance = 0.3 ** sum(coins) * 0.7 ** (8 - sum(coins))
        masks = tuple(tuple((coins[4 * n + 2 * layer : 4 * n + 2 * layer + 2]) for layer in (0, 1)) for n in (0, 1))
        counts = counted(masks)
        expected = [total + chance * count for total, count in zip(expected, counts, strict=True)]
        touched += chance * spec.touched_parameters(visits(2, *counts))

    assert pytest.approx(dict(zip(NAMES, expected, strict=True))) == spec.expected_counts(2)
    assert pytest.approx(touched) == spec.expected_touched_parameters(2)


def test_options_are_read_from_text_and_written_again() -> None:
    texts = {"hidden": "24", "blocks": "6", "hidden_layers": "2", "rate": "0.25", "activation": "tanh"}

    spec = BlockPolicySpec.from_options(3, 2, texts)

    assert BlockPolicySpec(3, 2, 24, 6, 2, 0.25, "tanh") == spec
    assert texts == spec.options


def test_a_twin_is_small_and_runs_the_same_code() -> None:
    twin = BlockPolicySpec(300, 200, hidden_layers=5, activation="tanh").twin()

    assert BlockPolicySpec(8, 8, hidden=8, blocks=4, hidden_layers=2, activation="tanh") == twin
    assert TWO == TWO.twin()


@pytest.mark.parametrize(
    "options, words",
    [
        ({"blocks": 3}, "blocks=3 for hidden=4; give a number of blocks that divides"),
        ({"rate": 0.0}, r"rate=0.0; give a number between 0 and 1"),
        ({"rate": 1.0}, r"rate=1.0; give a number between 0 and 1"),
        ({"rate": float("nan")}, r"rate=nan; give a number between 0 and 1"),
        ({"activation": "gelu"}, "activation='gelu'; it must be one of relu, tanh"),
        ({"hidden_layers": 0}, "hidden_layers=0; it must be at least 1"),
        ({"blocks": 0}, "blocks=0; it must be at least 1"),
    ],
)
def test_what_makes_no_network_is_refused(options: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        BlockPolicySpec(3, 2, **{"hidden": 4, "blocks": 2} | options)  # type: ignore[arg-type]
