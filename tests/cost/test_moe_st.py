"""The closed form of ST-MoE: counts by hand, expectations against every possible routing, and what is refused."""

from itertools import permutations, product

import pytest

from capratio.cost.flop import Flop
from capratio.cost.systems.contract import Visits
from capratio.cost.systems.moe_st import MoeStSpec
from capratio.errors import InputError


def spec(**options: object) -> MoeStSpec:
    return MoeStSpec(3, 2, **{"experts": 4, "hidden": 4, **options})  # type: ignore[arg-type]


# Two tokens whose first choice is the same expert of one slot, and whose second choices differ.
TWO_TOKENS = Visits(2, {"experts": 3, "assignments": 3, "dropped": 1})


def test_parameters_by_hand() -> None:
    # An expert: 2·4 rows of 3, and 2 rows of 4. The router: 4 rows of 3. Factors: 4 of 4.
    made = spec(dense_beside=True, multiplicative_bias=True)

    assert (4 * 32, 4 * 32 + 12) == (spec().weight_parameters, spec().parameters)
    assert (5 * 32, 5 * 32 + 12 + 16) == (made.weight_parameters, made.parameters)
    assert 3 * 32 + 12 == spec().touched_parameters(TWO_TOKENS)
    assert 3 * (32 + 4) + 12 + 32 == made.touched_parameters(TWO_TOKENS)
    assert 0 == made.touched_parameters(Visits(0, {"experts": 0, "assignments": 0, "dropped": 0}))


def test_a_forward_pass_by_hand() -> None:
    cost = spec().executed(TWO_TOKENS, "forward")

    # Logits: 2·2·3·4. Experts: 3 assignments of 2·(24 + 8). Softmax of two logits 7, two divisions by 0.2, for each of
    # two tokens; 6 for each of 4 units of GEGLU, and 2·2 for the sum, for each of three assignments.
    assert Flop(gating=48, product=192, overhead=2 * (7 + 2) + 3 * (24 + 4)) == cost.flop
    # Each token: a sort of 4 logits 8, a compare of two, two compares with a draw, two choices. Slots of 4 choices: a
    # sort 8, searches of 3 steps, a subtraction, a compare and a choice each. Experts: a sort of 4 choices 8.
    assert 2 * (8 + 1 + 4) + (8 + 4 * 3 + 4 * 3) + 8 == cost.routing_operations


def test_a_training_pass_by_hand() -> None:
    cost = spec().executed(TWO_TOKENS, "train")

    # Beside forward: softmax backward 7 a token and its gradient to x added, 3; of each assignment GEGLU again 24, the
    # share's gradient 7, the scaled gradient 4, GEGLU's derivative 13·4, dy scaled 2, the sum of dx 3.
    beside = 2 * (7 + 3) + 3 * (24 + 7 + 4 + 52 + 2 + 3)
    assert Flop(gating=3 * 48, product=3 * 192, overhead=102 + beside) == cost.flop
    assert 66 + 8 == cost.routing_operations


def test_what_stands_beside_the_experts_by_hand() -> None:
    def more(pass_: str, **options: bool) -> Flop:
        with_it, without = spec(**options).executed(TWO_TOKENS, pass_).flop, spec().executed(TWO_TOKENS, pass_).flop
        return Flop(with_it.product - without.product, with_it.overhead - without.overhead)

    # A dense network of two tokens: 2·32 products and 6·4 of GEGLU each, and 2 to add it; backward twice the products,
    # 13·4 of GEGLU's derivative, and 3 to add the gradient to x.
    assert Flop(2 * 64, 2 * (24 + 2)) == more("forward", dense_beside=True)
    assert Flop(6 * 64, 2 * (24 + 2 + 52 + 3)) == more("train", dense_beside=True)
    # Four matrices of 2 x 4, scaled; both gradients scale again, and each of 16 factors is a sum of two.
    assert Flop(0, 32) == more("forward", multiplicative_bias=True)
    assert Flop(0, 32 + 32 + 32 + 16) == more("train", multiplicative_bias=True)


def test_one_expert_takes_a_softmax_of_all_and_no_second_rule() -> None:
    cost = spec(top_k=1).executed(Visits(2, {"experts": 1, "assignments": 1, "dropped": 1}), "forward")

    # Softmax of four logits 15 a token; one assignment. No second expert, so no rule for it.
    assert Flop(gating=48, product=64, overhead=2 * 15 + 28) == cost.flop
    # Slots of two choices: a sort 2, searches of 2 steps, 3 steps each. Experts: a sort of 2.
    assert 2 * (8 + 3) + (2 + 2 * 2 + 2 * 3) + 2 == cost.routing_operations


def test_priority_is_a_softmax_of_all_where_the_share_is_of_two() -> None:
    visits = Visits(2, {"experts": 1, "assignments": 1, "dropped": 1})
    second = spec(prioritised=True).executed(TWO_TOKENS, "forward")
    first = spec(prioritised=True, top_k=1).executed(visits, "forward")

    # Two tokens sorted: 2 steps. Of four probabilities the softmax's 15 FLOP and 3 compares, and 3 for the largest.
    assert 2 * 15 == second.flop.overhead - spec().executed(TWO_TOKENS, "forward").flop.overhead
    assert 66 + 2 + 2 * 6 == second.routing_operations
    assert 2 == first.routing_operations - spec(top_k=1).executed(visits, "forward").routing_operations


def test_slots_are_not_counted_where_all_tokens_fit() -> None:
    visits = Visits(2, {"experts": 3, "assignments": 4, "dropped": 0})

    assert 32 == (
        spec().executed(visits, "forward").routing_operations
        - spec(capacity_eval=4.0).executed(visits, "forward").routing_operations
    )


def test_one_token_visits_its_experts_and_drops_none() -> None:
    assert Visits(1, {"experts": 2, "assignments": 2, "dropped": 0}) == spec().one_token()
    # 2·64 product, 24 gating, softmax 7, divisions 2, twice 28.
    assert Flop(gating=24, product=128, overhead=7 + 2 + 56) == spec().law()


def test_compulsory_bytes_by_hand() -> None:
    # Two tokens of 3 in and 2 out, three experts and the router; in training both again, and all gradients.
    assert 4 * (10 + 108) == spec().compulsory_bytes(TWO_TOKENS, "forward", 4)
    assert 4 * (10 + 108 + 10 + 140) == spec().compulsory_bytes(TWO_TOKENS, "train", 4)


@pytest.mark.parametrize(
    ("factor", "tokens", "experts", "slots"),
    # In binary, 1.1 · 10 is above 11 and would be rounded up to 12.
    [(1.0, 4, 2, 2), (1.25, 7, 4, 3), (2.0, 1, 16, 1), (0.01, 5, 4, 1), (1.1, 10, 1, 11), (2.0, 0, 4, 0)],
)
def test_capacity_is_the_factor_of_an_even_share_rounded_up(
    factor: float, tokens: int, experts: int, slots: int
) -> None:
    made = MoeStSpec(3, 2, experts=experts, top_k=1, capacity_train=factor, capacity_eval=8.0)

    assert slots == made.capacity(tokens, training=True)
    assert 8 * tokens / experts <= made.capacity(tokens, training=False)


@pytest.mark.parametrize(
    ("top_k", "experts", "factor"), [(1, 3, 1.0), (2, 3, 1.0), (2, 3, 2.0), (2, 2, 0.5), (1, 1, 0.5)]
)
@pytest.mark.parametrize("tokens", [0, 1, 3])
def test_expected_counts_are_the_mean_over_all_routings(top_k: int, experts: int, factor: float, tokens: int) -> None:
    made = MoeStSpec(3, 2, experts=experts, top_k=top_k, capacity_eval=factor)
    capacity = made.capacity(tokens, training=False)
    totals, routings = [0, 0], 0
    for choices in product(permutations(range(experts), top_k), repeat=tokens):
        asked = [expert for choice in choices for expert in choice]
        taken = [min(asked.count(expert), capacity) for expert in range(experts)]
        totals = [totals[0] + sum(count > 0 for count in taken), totals[1] + sum(taken)]
        routings += 1

    expected = made.expected_counts(tokens)

    assert pytest.approx(totals[0] / routings) == expected["experts"]
    assert pytest.approx(totals[1] / routings) == expected["assignments"]
    assert pytest.approx(tokens * top_k - totals[1] / routings) == expected["dropped"]
    network = made.hidden * (2 * 3 + 2)
    assert pytest.approx(totals[0] / routings * network + 3 * experts * (tokens > 0)) == (
        made.expected_touched_parameters(tokens)
    )


def test_large_batches_have_expectations_too() -> None:
    expected = MoeStSpec(256, 256, capacity_eval=1.0).expected_counts(65536)

    # 8192 choices fall on each expert, in the mean, of which 4096 have a slot.
    assert pytest.approx(16 * 4096) == expected["assignments"]


def test_sizes_alone_make_a_layer_and_options_are_read_from_text() -> None:
    made = MoeStSpec.from_options(256, 256, {"capacity_train": "1.5", "prioritised": "true", "second": "threshold"})

    assert MoeStSpec(256, 256, capacity_train=1.5, prioritised=True, second="threshold") == made
    assert {"capacity_train": "1.5", "prioritised": "true", "second": "threshold"} == made.options
    assert 16 * 1024 * 3 * 256 == MoeStSpec(256, 256).weight_parameters


def test_a_twin_is_small_and_as_scarce() -> None:
    twin = MoeStSpec(512, 256, experts=64, second="always").twin()

    assert MoeStSpec(16, 16, experts=16, hidden=16, second="always") == twin


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"top_k": 3}, "moe-st was given top_k=3; it must be 1 or 2"),
        ({"experts": 1}, "experts=1 and top_k=2; give at least as many experts"),
        ({"hidden": 0}, "hidden=0; it must be at least 1"),
        ({"second": "all"}, "second='all'; it must be one of random, threshold, always"),
        ({"capacity_train": 0.0}, "capacity_train=0.0; it must be a finite number above 0"),
        ({"capacity_eval": float("inf")}, "capacity_eval=inf; it must be a finite number above 0"),
        ({"capacity_eval": True}, "capacity_eval=True; it must be a finite number above 0"),
    ],
)
def test_what_no_such_layer_has_is_refused(options: dict[str, object], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        spec(**options)
