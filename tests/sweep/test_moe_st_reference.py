"""The reference of ST-MoE sees every kind of wrong decision, and a wrong expert in the output."""

from collections.abc import Callable

import pytest
import torch

from capratio.layers.conditional_layer import Decisions
from capratio.layers.moe_st import StableMixture
from capratio.sweep.references.contract import Parameters
from capratio.sweep.references.moe_st import MoeStReference

EPS = torch.finfo(torch.float64).eps


def mixture(**options: object) -> StableMixture:
    torch.manual_seed(3)
    given = {"experts": 4, "hidden": 6, "capacity_train": 0.8, "dtype": torch.float64, **options}
    layer = StableMixture(9, 5, **given)  # type: ignore[arg-type]
    with torch.no_grad():
        layer.router.mul_(4)
    return layer


def tokens() -> torch.Tensor:
    return torch.randn(20, 9, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def decided(layer: StableMixture) -> Decisions:
    return layer.outcome(tokens(), generator=torch.Generator().manual_seed(2)).decisions


def complaint(layer: StableMixture, decisions: Decisions) -> str | None:
    return MoeStReference().wrong_decision(layer.spec, Parameters(layer.state_dict()), tokens(), decisions, EPS)


def changed(decisions: Decisions, name: str, change: Callable[[torch.Tensor], torch.Tensor]) -> Decisions:
    return {**decisions, name: change(decisions[name].clone())}


def test_right_decisions_are_right() -> None:
    for options in ({}, {"prioritised": True}, {"second": "threshold"}, {"second": "always"}, {"top_k": 1}):
        layer = mixture(**options)

        assert complaint(layer, decided(layer)) is None


def test_logits_that_tie_are_taken_in_either_order() -> None:
    # The first two experts are alike, and the best of all for a token along their row.
    layer = mixture(experts=3, top_k=1, capacity_train=4.0)
    with torch.no_grad():
        layer.router[1] = layer.router[0]
        layer.router[2] = -layer.router[0]
    x, parameters = layer.router[:1].detach().clone(), Parameters(layer.state_dict())
    right = layer.outcome(x).decisions

    def told(expert: int) -> str | None:
        one = torch.tensor([[expert]])
        decisions = {**right, "chosen": one, "asked": one, "expert": one}
        return MoeStReference().wrong_decision(layer.spec, parameters, x, decisions, EPS)

    assert told(0) is None
    assert told(1) is None
    assert "choice 1 of token 0 is expert 2" in str(told(2))


def test_a_next_expert_is_caught_in_choice_and_output() -> None:
    layer = mixture(second="always", capacity_train=4.0)
    outcome = layer.outcome(tokens())
    off_by_one = {**outcome.decisions, "expert": (outcome.decisions["expert"] + 1) % 4}

    found = complaint(layer, changed(outcome.decisions, "chosen", lambda chosen: (chosen + 1) % 4))
    other = MoeStReference().output(layer.spec, Parameters(layer.state_dict()), tokens(), 0, off_by_one)

    assert found is not None
    assert "choice 1 of token 0 is expert" in found
    assert "went to" in str(complaint(layer, off_by_one))
    assert not torch.allclose(other, outcome.out[0])


def test_an_expert_twice_is_caught() -> None:
    layer = mixture()

    found = complaint(layer, changed(decided(layer), "chosen", lambda chosen: chosen[:, :1].expand(-1, 2)))

    assert "choice 2 of token 0" in str(found)
    assert "no expert that is left to choose" in str(found)


@pytest.mark.parametrize(
    ("second", "change", "sentence"),
    [
        ("random", lambda asked: asked.fill_(-1), "the first expert of token 0"),
        ("threshold", lambda asked: asked.index_fill_(1, torch.tensor([1]), -1), "is not asked, but its share is"),
        ("always", lambda asked: asked.index_fill_(1, torch.tensor([1]), -1), "is not asked, but its share is"),
        ("random", lambda asked: asked.index_copy_(1, torch.tensor([1]), asked[:, :1]), "the second expert of token"),
    ],
)
def test_a_second_expert_against_its_rule_is_caught(
    second: str, change: Callable[[torch.Tensor], torch.Tensor], sentence: str
) -> None:
    layer = mixture(second=second)

    assert sentence in str(complaint(layer, changed(decided(layer), "asked", change)))


def test_another_draw_is_caught() -> None:
    layer = mixture()

    assert "is asked, but its share" in str(
        complaint(layer, changed(decided(layer), "draw", lambda draw: draw * 0 + 9))
    )


def test_another_order_is_caught() -> None:
    layer = mixture(prioritised=True)
    decisions = decided(layer)

    assert "comes after token" in str(complaint(layer, changed(decisions, "turn", lambda turn: turn.flip(0))))
    assert "each of which has one of its own" in str(
        complaint(layer, changed(decisions, "turn", lambda turn: turn * 0))
    )
    without = {name: decision for name, decision in decisions.items() if name != "turn"}
    assert "no token has a turn, though slots are scarce" == complaint(layer, without)


def test_a_slot_too_many_or_too_few_is_caught() -> None:
    layer = mixture(second="always")
    decisions = decided(layer)
    dropped = int((decisions["expert"][:, 0] < 0).nonzero()[0])

    def give(expert: torch.Tensor) -> torch.Tensor:
        expert[dropped, 0] = decisions["asked"][dropped, 0]
        return expert

    def take(expert: torch.Tensor) -> torch.Tensor:
        expert[0, 0] = -1
        return expert

    assert f"choice 1 of token {dropped} asked expert" in str(complaint(layer, changed(decisions, "expert", give)))
    assert "which had given 0 of 4 slots, and went to -1" in str(complaint(layer, changed(decisions, "expert", take)))


def test_a_capacity_of_neither_factor_is_caught() -> None:
    layer = mixture()

    found = complaint(layer, changed(decided(layer), "capacity", lambda capacity: capacity + 1))

    assert "an expert had 5 slots for 20 tokens, but neither factor gives that" == found


def test_a_token_without_a_slot_has_gradients_of_zero() -> None:
    layer = mixture(second="always")
    decisions = decided(layer)
    dropped = int((decisions["expert"] < 0).all(1).nonzero()[0])
    x = tokens().requires_grad_()

    out = MoeStReference().output(layer.spec, Parameters(layer.state_dict()), x, dropped, decisions)
    out.sum().backward()  # type: ignore[no-untyped-call]

    assert x.grad is not None
    assert not x.grad.any()
