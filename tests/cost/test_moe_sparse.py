"""The cost of a sparsely-gated mixture: tiny ones counted by hand, and expectations against all routings."""

from itertools import combinations, product

import pytest

from capratio.cost.flop import Flop
from capratio.cost.systems.contract import Visits
from capratio.cost.systems.moe_sparse import MoeSparseSpec
from capratio.cost.systems.table import SYSTEMS
from capratio.errors import InputError

# p = 3, q = 2, 4 experts of 5 hidden units: 5 (3 + 2) = 25 weights and 50 FLOP each.
NOISY = MoeSparseSpec(3, 2, experts=4, top_k=2, hidden=5)
GROUPS = MoeSparseSpec(3, 2, experts=4, top_k=1, hidden=5, gating="hierarchical", groups=2)
BALANCED = MoeSparseSpec(3, 2, experts=4, top_k=2, hidden=5, gating="balanced")
# Of an assignment in training: s g 5, ds 2 · 5 − 1, s dy 2, dx 3.
EXPERT_GRADIENT = 5 + 9 + 2 + 3


def visits(tokens: int, *counts: int) -> Visits:
    return Visits(tokens, dict(zip(MoeSparseSpec.counts, counts, strict=True)))


def test_the_layer_is_in_the_table_and_its_defaults_make_one() -> None:
    assert MoeSparseSpec is SYSTEMS["moe-sparse"]
    # 16 experts of 1024 units, and two matrices of the gate.
    assert 16 * 1024 * 512 + 2 * 16 * 256 == MoeSparseSpec(256, 256).parameters


def test_parameters_by_hand() -> None:
    assert (100, 100 + 2 * 4 * 3) == (NOISY.weight_parameters, NOISY.parameters)
    assert 100 + 2 * 2 * 3 + 2 * 4 * 3 == GROUPS.parameters
    assert 100 + 4 * 3 + 4 == BALANCED.parameters


def test_one_token_of_the_noisy_gate_by_hand() -> None:
    token = NOISY.one_token()

    assert visits(1, 2, 2, 2, 0) == token
    # 4 logits of 3 features; a softmax over 2, 4 · 2 − 1; two outputs of 2 scaled and added.
    assert Flop(product=100, gating=24, overhead=7 + 8) == NOISY.law()
    # The largest of 4 logits twice, 1 compare of the softmax, sort 2 slots, 2 · 5 rectifiers.
    assert 6 + 1 + 2 + 10 == NOISY.executed(token, "decode").routing_operations
    # Two experts and W_g.
    assert 50 + 12 == NOISY.touched_parameters(token)


def test_training_on_two_tokens_of_the_noisy_gate_by_hand() -> None:
    batch = visits(2, 3, 4, 4, 0)
    cost = NOISY.executed(batch, "train")

    # Forward: two products of 2 · 3 · 4; two softmaxes 14; noise 5 · 8; sums 2 · 4 · 2. Backward: both products twice
    # more each; softmaxes 14 and 4 places; noise 3 · 8; two adds to the gradient of x, 2 · 2 · 3.
    forward, backward = 14 + 40 + 16, 14 + 4 + 24 + 12 + 4 * EXPERT_GRADIENT
    assert Flop(product=3 * 200, gating=6 * 48, overhead=forward + backward) == cost.flop
    # The largest of 4 twice for 2 rows, 2 compares; sort 4 slots twice; rectifiers 20 and twice more in gradients.
    assert 12 + 2 + 2 * 8 + 3 * 20 == cost.routing_operations


def test_one_token_of_the_hierarchical_gate_by_hand() -> None:
    token = GROUPS.one_token()

    assert visits(1, 1, 1, 1, 1) == token
    # 2 groups, then 2 members: 2 · 3 · 2 each. Two softmaxes over 1 entry, 3 each; a product of shares; 2 outputs.
    assert Flop(product=50, gating=24, overhead=3 + 3 + 1 + 4) == GROUPS.law()
    # The larger of 2 groups and of 2 members; from group and place to the expert 2; 5 rectifiers.
    assert 1 + 1 + 2 + 5 == GROUPS.executed(token, "decode").routing_operations
    # An expert, the first W_g, one group's W_g.
    assert 25 + 6 + 6 == GROUPS.touched_parameters(token)


def test_training_on_two_tokens_of_the_hierarchical_gate_by_hand() -> None:
    # Each token keeps 2 of 2 groups and 2 of 2 members.
    spec = MoeSparseSpec(3, 2, experts=4, top_k=2, hidden=5, gating="hierarchical", groups=2)
    cost = spec.executed(visits(2, 4, 8, 8, 2), "train")

    # Forward: of 2 tokens 2 groups, twice (noise); of 4 rows 2 members, twice. Each gate twice more backward.
    assert 3 * (2 * 24 + 2 * 48) == cost.flop.gating
    # Softmaxes over 2: 2 · 7 and 4 · 7; noise 5 · 4 and 5 · 8; 8 products of shares; sums 2 · 8 · 2.
    forward = 14 + 28 + 20 + 40 + 8 + 32
    # Softmaxes 14 and 28, places 4 and 8; noise 3 · 4 and 3 · 8; shares 2 · 8 and 4 sums of 2. To x: 2 of the first
    # gate 2 · 6; both matrices to 4 rows 12; 4 rows to 2 tokens 6; to the rest 6.
    backward = 14 + 28 + 4 + 8 + 12 + 24 + 16 + 4 + 12 + 12 + 6 + 6 + 8 * EXPERT_GRADIENT
    assert (3 * 400, forward + backward) == (cost.flop.product, cost.flop.overhead)
    # The larger of 2 twice for 2 rows and for 4; their softmaxes 2 and 4; 4 rows by group 6 times (4 · 2 each); experts
    # 4 + 8. Sort 8 slots twice, rectifiers thrice.
    assert 4 + 8 + 2 + 4 + 6 * 8 + 12 + 2 * 24 + 3 * 40 == cost.routing_operations


def test_one_token_of_the_balanced_gate_by_hand() -> None:
    token = BALANCED.one_token()

    assert visits(1, 2, 2, 4, 0) == token
    # Two softmaxes over 4, 15 each.
    assert Flop(product=100, gating=24, overhead=30 + 8) == BALANCED.law()
    # 3 compares a softmax; 4 thresholds; 8 choices; sort 4 slots; 10 rectifiers.
    assert 6 + 4 + 8 + 8 + 10 == BALANCED.executed(token, "decode").routing_operations
    assert 50 + 12 + 4 == BALANCED.touched_parameters(token)


def test_training_on_two_tokens_of_the_balanced_gate_by_hand() -> None:
    # Each of 4 experts keeps 1 token; one token has 3 of them, so there are 2 · 3 slots.
    cost = BALANCED.executed(visits(2, 4, 4, 6, 0), "train")

    # Forward: softmaxes 30 and 4 · 6 − 2, sums 16. Backward: 22 and 6 places; one add to the gradient of x, 6.
    overhead = 30 + 22 + 16 + 22 + 6 + 6 + 4 * EXPERT_GRADIENT
    assert Flop(product=600, gating=3 * 48, overhead=overhead) == cost.flop
    # Softmaxes 6 and 4; sort 2 tokens for 4 experts, 4 experts for 2 tokens; negate 8, add 6, compare 1; choices 12 and
    # 6 back; sort 6 slots twice, rectifiers thrice.
    assert 6 + 4 + 8 + 16 + 8 + 6 + 1 + 12 + 6 + 2 * 18 + 60 == cost.routing_operations


def test_compulsory_bytes_by_hand() -> None:
    batch = visits(2, 3, 4, 4, 0)

    # x and y 2 · 5; 3 experts; W_g.
    assert 4 * (10 + 75 + 12) == NOISY.compulsory_bytes(batch, "forward", 4)
    # And W_noise; both gradients of x and y; that of all 124 parameters.
    assert 4 * (10 + 75 + 24 + 10 + 124) == NOISY.compulsory_bytes(batch, "train", 4)
    # Thresholds are read in evaluation alone, and the output teaches them nothing.
    assert 4 * (10 + 75 + 12 + 10 + 112) == BALANCED.compulsory_bytes(batch, "train", 4)


@pytest.mark.parametrize("spec", [NOISY, GROUPS, BALANCED])
def test_no_tokens_cost_nothing(spec: MoeSparseSpec) -> None:
    none = visits(0, 0, 0, 0, 0)

    assert 0 == spec.touched_parameters(none) == spec.expected_touched_parameters(0)
    assert dict.fromkeys(MoeSparseSpec.counts, 0.0) == spec.expected_counts(0)
    for pass_ in ("forward", "train"):
        cost = spec.executed(none, pass_)
        assert (0, 0) == (cost.flop.total, cost.routing_operations)


def test_expected_counts_are_those_of_all_routings_of_the_noisy_gate() -> None:
    routings = list(product(combinations(range(4), 2), repeat=3))

    distinct = sum(len({expert for token in routing for expert in token}) for routing in routings) / len(routings)

    assert pytest.approx({"experts": distinct, "assignments": 6, "slots": 6, "groups": 0}) == NOISY.expected_counts(3)
    assert pytest.approx(25 * distinct + 12) == NOISY.expected_touched_parameters(3)


def test_expected_counts_are_those_of_all_routings_of_the_hierarchical_gate() -> None:
    # 6 experts in 3 groups; a token keeps 2 groups and both members of each.
    spec = MoeSparseSpec(3, 2, experts=6, top_k=2, hidden=5, gating="hierarchical", groups=3)
    routings = list(product(combinations(range(3), 2), repeat=3))
    groups = sum(len({group for token in routing for group in token}) for routing in routings) / len(routings)

    expected = {"experts": 2 * groups, "assignments": 12, "slots": 12, "groups": groups}

    assert pytest.approx(expected) == spec.expected_counts(3)
    assert pytest.approx(25 * 2 * groups + 9 + 6 * groups) == spec.expected_touched_parameters(3)


def test_options_are_read_from_text_and_written_again() -> None:
    texts = {"experts": "8", "top_k": "1", "hidden": "24", "gating": "hierarchical", "groups": "4"}

    spec = MoeSparseSpec.from_options(3, 2, texts)

    assert MoeSparseSpec(3, 2, 8, 1, 24, "hierarchical", 4) == spec
    assert texts == spec.options


def test_a_twin_is_small_and_runs_the_same_code() -> None:
    twin = MoeSparseSpec(300, 200, 512, 8, gating="hierarchical", groups=16).twin()

    assert MoeSparseSpec(16, 16, 8, 4, 16, "hierarchical", 2) == twin
    assert NOISY == NOISY.twin()


@pytest.mark.parametrize(
    "options, words",
    [
        ({"gating": "soft"}, "gating='soft'; it must be one of noisy, hierarchical, balanced"),
        ({"groups": 2}, "groups=2 with gating=noisy; use gating=hierarchical, or leave groups out"),
        ({"groups": 3, "gating": "hierarchical"}, "groups=3 for 4 experts; give a divisor of 4"),
        ({"top_k": 5}, "top_k=5 for 4 experts; give at most 4"),
        ({"top_k": 3, "groups": 2, "gating": "hierarchical"}, "top_k=3 for 2 experts a group; give at most 2"),
        ({"top_k": 0}, "top_k=0; it must be at least 1"),
        ({"experts": 4.0}, "experts=4.0; it must be an integer"),
    ],
)
def test_what_makes_no_mixture_is_refused(options: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words):
        MoeSparseSpec(3, 2, **{"experts": 4, "hidden": 5} | options)  # type: ignore[arg-type]
