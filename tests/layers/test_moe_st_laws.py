"""What ST-MoE says of its layer: capacity and who is dropped, the second expert's rule, a router in float32."""

from math import exp, log
from typing import Any

import pytest
import torch
from scipy.stats import binom
from torch.nn.functional import gelu

from capratio.layers.conditional_layer import Outcome
from capratio.layers.moe_st import StableMixture
from tests.layers.system_checks import drawn, redrawn

# Logits of two experts for four tokens: the first three prefer expert 0, ever more surely but for the second.
FOUR_TOKENS = torch.tensor([[2.0, 0.0], [1.0, 0.0], [4.0, 0.0], [0.0, 3.0]], dtype=torch.float64)


def dice(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def steered(experts: int, **options: Any) -> StableMixture:
    """A layer whose logits are its input, so that a test says where a token goes."""
    layer = redrawn(StableMixture(experts, 3, experts=experts, hidden=5, dtype=torch.float64, **options))
    with torch.no_grad():
        layer.router.copy_(torch.eye(experts))
    return layer


def naive(layer: StableMixture, x: torch.Tensor) -> torch.Tensor:
    """All experts on all tokens, weighted by the softmax of the k best logits, 0 of the others."""
    before = torch.einsum("emp,np->nem", layer.weight_in, x)
    gate, value = before.chunk(2, 2)
    outputs = torch.einsum("eqh,neh->neq", layer.weight_out, gelu(gate) * value)
    probability = torch.softmax(x @ layer.router.T, 1)
    smallest = probability.sort(1, descending=True).values[:, layer.spec.top_k - 1 : layer.spec.top_k]
    kept = probability * (probability >= smallest)
    shares = kept / kept.sum(1, keepdim=True) if layer.spec.top_k == 2 else kept
    return torch.einsum("ne,neq->nq", shares, outputs)


@pytest.mark.parametrize("top_k", [1, 2])
@pytest.mark.parametrize("prioritised", [True, False])
def test_with_slots_for_all_it_is_a_plain_mixture(top_k: int, prioritised: bool) -> None:
    # 8 slots of 8 are not even counted; 7 of 8 are, and no expert is asked as often.
    for factor in (4.0, 3.5):
        layer = redrawn(
            StableMixture(
                9,
                5,
                experts=4,
                top_k=top_k,
                hidden=6,
                capacity_train=factor,
                second="always",
                prioritised=prioritised,
                dtype=torch.float64,
            )
        )
        x = drawn(8, 9, dtype=torch.float64)

        assert torch.allclose(naive(layer, x), layer(x), rtol=0, atol=1e-12)
        assert 0 == layer.visits(layer.outcome(x).decisions)["dropped"]


def test_first_choices_take_slots_before_second_ones() -> None:
    layer = steered(2, capacity_train=1.0, second="always")

    outcome = layer.outcome(FOUR_TOKENS)

    # Two slots each. Expert 0 is full with tokens 0 and 1; expert 1 takes token 3, and token 0's second choice.
    assert [[0, 1], [0, -1], [-1, -1], [1, -1]] == outcome.decisions["expert"].tolist()
    assert [0.0] * 3 == outcome.out[2].tolist()
    visits = layer.visits(outcome.decisions)
    assert {"experts": 2, "assignments": 4, "dropped": 4} == visits.counts
    # Of the four choices that were dropped two are all that token 2 had.
    assert 1 == layer.dropped_tokens(outcome.decisions)


def test_prioritised_tokens_come_in_the_order_of_their_first_probability() -> None:
    layer = steered(2, capacity_train=1.0, second="always", prioritised=True)

    outcome = layer.outcome(FOUR_TOKENS)

    # In the order 2, 3, 0, 1: expert 0 takes tokens 2 and 0, expert 1 takes token 3, and token 2's second choice.
    assert [2, 3, 0, 1] == outcome.decisions["turn"].tolist()
    assert [[0, -1], [-1, -1], [0, 1], [1, -1]] == outcome.decisions["expert"].tolist()


def test_one_expert_a_token_drops_whom_it_has_no_slot_for() -> None:
    in_order = steered(2, capacity_train=1.0, top_k=1).outcome(FOUR_TOKENS)
    prioritised = steered(2, capacity_train=1.0, top_k=1, prioritised=True).outcome(FOUR_TOKENS)

    assert [[0], [0], [-1], [1]] == in_order.decisions["expert"].tolist()
    assert [[0], [-1], [0], [1]] == prioritised.decisions["expert"].tolist()


def test_capacity_is_another_in_training_and_does_not_grow_with_top_k() -> None:
    for top_k in (1, 2):
        layer = StableMixture(9, 5, experts=4, hidden=6, top_k=top_k)

        in_training = layer.outcome(drawn(10, 9), generator=dice())
        outside = layer.eval().outcome(drawn(10, 9), generator=dice())

        # ceil(1.25 · 10 / 4) and ceil(2 · 10 / 4).
        assert [4] * 10 == in_training.decisions["capacity"].tolist()
        assert [5] * 10 == outside.decisions["capacity"].tolist()


def test_shares_are_those_before_anyone_is_dropped() -> None:
    layer = steered(2, capacity_train=1.0, second="always")
    alone = steered(2, capacity_train=4.0, second="threshold")
    alone.load_state_dict(layer.state_dict())

    # Token 3 has lost its second expert to others; its first still has the share 1 / (1 + exp(-3)).
    share = 1 / (1 + torch.tensor(-3.0, dtype=torch.float64).exp())
    gate, value = (layer.weight_in[1] @ FOUR_TOKENS[3]).chunk(2)
    assert torch.allclose(share * (layer.weight_out[1] @ (gelu(gate) * value)), layer(FOUR_TOKENS)[3])
    # So is it where the rule left the second out: its share of 0.047 is under 0.2.
    assert torch.allclose(layer(FOUR_TOKENS)[3], alone(FOUR_TOKENS)[3])


def asked(outcome: Outcome) -> torch.Tensor:
    return outcome.decisions["asked"][:, 1] >= 0


@pytest.mark.parametrize("training", [True, False])
def test_a_second_expert_is_asked_by_its_draw(training: bool) -> None:
    layer = steered(4).train(training)
    x = 2 * drawn(2000, 4, dtype=torch.float64)

    outcome = layer.outcome(x, generator=dice())

    best = x.sort(1, descending=True).values
    share = best[:, 1].exp() / (best[:, 0].exp() + best[:, 1].exp())
    assert torch.equal(outcome.decisions["draw"] * 0.2 < share, asked(outcome))
    assert 0 < int(asked(outcome).sum()) < 2000


def test_a_threshold_asks_every_second_expert_above_it() -> None:
    layer = steered(2, second="threshold", capacity_train=4.0)
    shares = (0.19, 0.2 - 1e-9, 0.2 + 1e-9, 0.21)
    x = torch.tensor([[log((1 - share) / share), 0.0] for share in shares], dtype=torch.float64)

    assert [False, False, True, True] == asked(layer.outcome(x)).tolist()


@pytest.mark.parametrize("share", [0.02, 0.1, 0.19, 0.2, 0.4])
def test_a_random_second_expert_is_asked_with_its_probability(share: float) -> None:
    layer, tokens = steered(2), 20000
    x = torch.tensor([[log((1 - share) / share), 0.0]], dtype=torch.float64).expand(tokens, 2)

    count = int(asked(layer.outcome(x, generator=dice(7))).sum())

    # Two-sided, exactly binomial, a false alarm in a billion; certain from 0.2 on.
    probability = min(1.0, share / 0.2)
    low, high = (float(binom.ppf(tail, tokens, probability)) for tail in (5e-10, 1 - 5e-10))
    assert low <= count <= high


def test_a_router_works_in_float32_under_bfloat16() -> None:
    layer = StableMixture(2, 3, experts=2, hidden=5, second="always", dtype=torch.bfloat16)
    with torch.no_grad():
        # 1 and 1 + 2^-12, which bfloat16 rounds to 1.
        layer.router.copy_(torch.tensor([[1.0, 0.0], [1.0, 2.0**-12]]))

    outcome = layer.outcome(torch.ones(1, 2, dtype=torch.bfloat16))

    assert torch.float32 == outcome.kept["logits"].dtype
    assert [[1, 0]] == outcome.decisions["chosen"].tolist()
    assert torch.bfloat16 == outcome.out.dtype
    losses = layer.losses(outcome)
    assert torch.float32 == losses["z"].dtype == losses["balance"].dtype


def test_losses_are_of_the_logits_that_the_layer_used() -> None:
    layer = steered(2)

    losses = layer.losses(layer.outcome(FOUR_TOKENS, generator=dice()))

    rows: list[list[float]] = FOUR_TOKENS.tolist()
    sums = [exp(a) + exp(b) for a, b in rows]
    assert pytest.approx(sum(log(total) ** 2 for total in sums) / 4) == losses["z"].item()
    # Three of four tokens go to expert 0.
    mean = sum(exp(a) / total for (a, _), total in zip(rows, sums, strict=True)) / 4
    assert pytest.approx(2 * (0.75 * mean + 0.25 * (1 - mean))) == losses["balance"].item()


def test_factors_of_one_and_a_dense_network_of_zero_change_nothing() -> None:
    plain = redrawn(StableMixture(9, 5, experts=4, hidden=6, second="always", dtype=torch.float64))
    more = StableMixture(
        9,
        5,
        experts=4,
        hidden=6,
        second="always",
        dense_beside=True,
        multiplicative_bias=True,
        dtype=torch.float64,
    )
    more.load_state_dict(plain.state_dict(), strict=False)
    with torch.no_grad():
        more.dense_out.zero_()

    assert torch.equal(plain(drawn(7, 9, dtype=torch.float64)), more(drawn(7, 9, dtype=torch.float64)))


def test_factors_scale_what_goes_into_the_second_matrix() -> None:
    layer = redrawn(StableMixture(9, 5, experts=4, hidden=6, second="always", multiplicative_bias=True))
    folded = StableMixture(9, 5, experts=4, hidden=6, second="always")
    state = {name: value for name, value in layer.state_dict().items() if name != "hidden_scale"}
    state["weight_out"] = state["weight_out"] * layer.hidden_scale.detach()[:, None, :]

    folded.load_state_dict(state)

    assert torch.equal(folded(drawn(7, 9)), layer(drawn(7, 9)))


def test_room_without_end_is_room_for_all() -> None:
    layer = StableMixture(4, 4, experts=2, hidden=3, capacity_train=1e300, second="always")

    outcome = layer.outcome(torch.randn(5, 4))

    assert 0 == layer.visits(outcome.decisions)["dropped"]
    assert [2**62] * 5 == outcome.decisions["capacity"].tolist()
