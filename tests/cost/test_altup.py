"""The cost of alternating updates, counted by hand, against the network of the whole width."""

import pytest

from capratio.cost import closed_form
from capratio.cost.flop import Flop
from capratio.cost.systems.altup import AltUpSpec
from capratio.cost.systems.contract import Visits
from capratio.errors import InputError


def computed(tokens: int, anchors: int | None = None) -> Visits:
    return Visits(tokens, {"computed": tokens if anchors is None else anchors})


def test_a_token_of_two_blocks_by_hand() -> None:
    # K = 2 blocks of d = 3, h = 4.
    cost = closed_form(AltUpSpec(6, 6, hidden=4))

    # 2·3·4 weights; biases 4 + 3; 4 + 2 scalars.
    assert (24, 24 + 7 + 6) == (cost.weight_parameters, cost.parameters)
    # Two products of 2·3·4. Predicted: 2·2 scalings and 2 adds of 3; the innovation 3; scaled and added, 2·2 of 3.
    assert Flop(product=48, bias=7, overhead=12 + 6 + 3 + 6 + 6) == cost.flop
    assert 4 == cost.routing_operations


def test_a_training_step_of_a_token_by_hand() -> None:
    cost = AltUpSpec(6, 6, hidden=4).executed(computed(1), "train")

    # Three products of 2 scalars with 3 elements: both gradients 2·6, the block's sum 3, the scalars' 6 - 2. The sign
    # of the innovation 3, two ways to the prediction 6, two to the computed block 3.
    assert Flop(product=3 * 48, bias=7, overhead=33 + 3 * 19 + 12) == cost.flop
    assert 8 == cost.routing_operations


def test_a_recycled_token_adds_its_blocks() -> None:
    wide, recycled = (closed_form(spec) for spec in (AltUpSpec(6, 6, hidden=4), AltUpSpec(3, 3, 4, "recycled")))

    assert wide.flop + Flop(overhead=3) == recycled.flop
    assert wide.parameters == recycled.parameters


def test_a_sequence_by_hand() -> None:
    # T = 3 tokens of d = 2, two anchors, h = 4.
    spec = AltUpSpec(2, 2, 4, "sequence")

    forward, train = (spec.executed(computed(3, 2), pass_) for pass_ in ("forward", "train"))

    assert 16 + 4 + 2 + 3 == spec.parameters
    # Tokens (6 elements) are scaled, added to, corrected; anchors (4) scaled, subtracted, scaled.
    assert Flop(product=2 * 32, bias=2 * 6, overhead=3 * 6 + 3 * 4) == forward.flop
    # relu, and a division for each token's anchor.
    assert 2 * 4 + 3 == forward.routing_operations
    # Products with a scalar: 3·6 - 1, and twice 3·4 - 1. Tokens into their anchors twice, 12; a sign, 4; ways joined,
    # 6 + 6 + 4. A bias is summed over two anchors, an add for each of 6.
    assert Flop(product=3 * 64, bias=12 + 6, overhead=30 + 17 + 22 + 12 + 4 + 16) == train.flop


@pytest.mark.parametrize("blocks", [2, 4, 8])
def test_the_network_costs_a_square_of_the_blocks_less_than_one_of_the_whole_width(blocks: int) -> None:
    # A dense network of K d -> K h -> K d.
    dense = AltUpSpec(blocks * 64, blocks * 64, hidden=blocks * 256, blocks=1)

    updated = AltUpSpec(blocks * 64, blocks * 64, hidden=256, blocks=blocks)

    assert dense.law().product == blocks**2 * updated.law().product
    assert dense.weight_parameters == blocks**2 * updated.weight_parameters
    # Its scalars' arithmetic is that of 2 K^2 + K + 1 passes over 64 features.
    assert (2 * blocks**2 + blocks + 1) * 64 == updated.law().overhead


def test_nothing_is_left_to_chance() -> None:
    assert {"computed": 3.0} == AltUpSpec(2, 2, form="sequence", stride=3).expected_counts(7)
    assert {"computed": 7.0} == AltUpSpec(2, 2).expected_counts(7)
    assert 0.0 == AltUpSpec(2, 2).expected_touched_parameters(0)


def test_bytes_are_tokens_and_all_parameters() -> None:
    spec = AltUpSpec(6, 6, hidden=4)

    assert 4 * (2 * 12 + 37) == spec.compulsory_bytes(computed(2), "forward", 4)
    assert 4 * (2 * 2 * 12 + 2 * 37) == spec.compulsory_bytes(computed(2), "train", 4)


def test_a_twin_is_small_and_keeps_its_form() -> None:
    assert AltUpSpec(24, 24, 16, "same", 3) == AltUpSpec(384, 384, 1024, "same", 3).twin()
    assert AltUpSpec(8, 8, 16, "sequence", stride=3) == AltUpSpec(256, 256, 1024, "sequence", stride=3).twin()
    assert AltUpSpec(8, 8, 16, "recycled", place=5) == AltUpSpec(256, 256, 1024, "recycled", place=5).twin()


@pytest.mark.parametrize(
    "given, sentence",
    [
        ({"out_features": 5}, "in_features=6 and out_features=5; a token comes out as wide as it goes in"),
        ({"blocks": 4}, "in_features=6 and blocks=4; .* give a multiple of their number"),
        ({"form": "wide"}, "form='wide'; it must be one of alternating, same, recycled, sequence"),
        ({"place": -1}, "place=-1; give the layer's number in its network, from 0"),
        ({"stride": 3}, "stride=3 with form='alternating', which has no such option; .* use form='sequence'"),
        ({"form": "same", "place": 1}, "use form='alternating' or 'recycled'"),
        ({"form": "sequence", "blocks": 3}, "use form='alternating' or 'same' or 'recycled'"),
        ({"hidden": 0}, "hidden=0; it must be at least 1"),
    ],
)
def test_what_no_update_has_is_refused(given: dict[str, object], sentence: str) -> None:
    options: dict[str, object] = {"in_features": 6, "out_features": 6, **given}

    with pytest.raises(InputError, match=sentence):
        AltUpSpec(**options)  # type: ignore[arg-type]
