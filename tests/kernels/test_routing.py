"""Routing: bits to leaves, leaves to rows, and tokens grouped by leaf."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from capratio.kernels.leaf_index import leaf_index
from capratio.kernels.routing import (
    group_by_key,
    group_by_leaf,
    node_rows,
    path_rows,
    shared_levels,
)


def test_the_first_bit_of_a_leaf_is_the_most_significant() -> None:
    bits = torch.tensor([[True, False, False], [False, False, True], [True, True, True], [False, False, False]])

    assert [4, 1, 7, 0] == leaf_index(bits).tolist()


def test_a_pattern_without_bits_is_leaf_zero() -> None:
    assert [0, 0] == leaf_index(torch.empty(2, 0, dtype=torch.bool)).tolist()


def test_rows_of_a_path_are_in_level_order() -> None:
    # b = 1, 0, 1: root 0; "1" at 1 + 1; "10" at 3 + 2; "101" at 7 + 5.
    assert [0, 2, 5, 12] == path_rows(5, 3)
    assert [[0, 2, 5, 12]] == node_rows(torch.tensor([5]), 3).tolist()


@given(depth=st.integers(0, 12), data=st.data())
def test_plain_and_tensor_rows_of_a_path_agree(depth: int, data: st.DataObject) -> None:
    leaf = data.draw(st.integers(0, 2**depth - 1))

    assert [path_rows(leaf, depth)] == node_rows(torch.tensor([leaf]), depth).tolist()


@given(depth=st.integers(0, 10), data=st.data())
def test_shared_levels_counts_equal_rows_of_two_paths(depth: int, data: st.DataObject) -> None:
    leaf, other = (data.draw(st.integers(0, 2**depth - 1)) for _ in range(2))

    equal = sum(a == b for a, b in zip(path_rows(leaf, depth), path_rows(other, depth), strict=True))

    assert equal == shared_levels(leaf, other, depth)


@given(keys=st.lists(st.integers(0, 7), max_size=40))
def test_groups_hold_each_token_once_under_its_own_key(keys: list[int]) -> None:
    groups = group_by_key(torch.tensor(keys, dtype=torch.int64))

    tokens = groups.gather(torch.arange(len(keys))).tolist()
    held = [(key, token) for key, place in groups for token in tokens[place]]

    assert sorted(set(keys)) == groups.keys
    assert sorted((key, token) for token, key in enumerate(keys)) == held


@given(keys=st.lists(st.integers(0, 7), max_size=40))
def test_restoring_gathered_rows_gives_them_back(keys: list[int]) -> None:
    rows = torch.arange(2 * len(keys)).view(-1, 2)
    groups = group_by_key(torch.tensor(keys, dtype=torch.int64))

    assert torch.equal(rows, groups.restore(groups.gather(rows)))


@given(keys=st.lists(st.integers(0, 15), min_size=1, max_size=40), shift=st.integers(0, 4))
def test_prefix_groups_are_the_groups_of_the_shifted_keys(keys: list[int], shift: int) -> None:
    groups = group_by_key(torch.tensor(keys))

    expected = group_by_key(torch.tensor(sorted(keys)) >> shift)

    assert list(expected) == list(groups.prefixes(shift))


@given(depth=st.integers(0, 8), data=st.data())
def test_one_token_takes_the_same_leaf_as_in_a_batch(depth: int, data: st.DataObject) -> None:
    bits = torch.tensor([data.draw(st.lists(st.booleans(), min_size=depth, max_size=depth))], dtype=torch.bool)

    assert leaf_index(bits).tolist() == group_by_leaf(bits.view(1, depth)).keys
