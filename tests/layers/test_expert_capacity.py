"""Slots are ranks among the choices of one expert, and turns follow priority."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from capratio.layers.expert_capacity import slot_ranks, turns


def counted(asked: list[list[int]]) -> list[list[int]]:
    """Ranks by walking over the choices, first ones first, with a counter for each expert."""
    ranks = [[0] * len(choices) for choices in asked]
    seen: dict[int, int] = {}
    for choice in range(len(asked[0]) if asked else 0):
        for token, choices in enumerate(asked):
            ranks[token][choice] = seen.get(choices[choice], 0)
            seen[choices[choice]] = ranks[token][choice] + 1
    return ranks


def test_first_choices_come_before_second_ones() -> None:
    asked = torch.tensor([[0, 1], [0, 1], [1, 0]])

    # Expert 0: tokens 0, 1, then token 2's second choice. Expert 1: token 2, then 0's and 1's second choices.
    assert [[0, 1], [1, 2], [0, 2]] == slot_ranks(asked).tolist()


@given(
    st.integers(1, 3).flatmap(
        lambda top_k: st.lists(st.lists(st.integers(-1, 4), min_size=top_k, max_size=top_k), max_size=30)
    )
)
def test_ranks_are_those_of_a_walk(asked: list[list[int]]) -> None:
    given_choices = torch.tensor(asked, dtype=torch.int64).view(len(asked), -1 if asked else 2)

    assert counted(asked) == slot_ranks(given_choices).tolist()


@given(st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), max_size=20))
def test_turns_follow_priority_and_then_place(priority: list[float]) -> None:
    queue, turn = turns(torch.tensor(priority))

    assert sorted(range(len(priority)), key=lambda token: (-priority[token], token)) == queue.tolist()
    assert list(range(len(priority))) == turn[queue].tolist()
