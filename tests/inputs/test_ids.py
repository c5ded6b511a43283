"""Token ids of real text, or drawn: seeded, in their range, and distributed as the routing says."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from capratio.errors import InputError
from capratio.inputs.ids import make_ids
from capratio.inputs.table import ROUTINGS
from capratio.inputs.text import text_rows

every_routing = pytest.mark.parametrize("routing", ROUTINGS)


@every_routing
@given(tokens=st.integers(0, 40), features=st.integers(1, 9), entries=st.integers(1, 300), seed=st.integers(-9, 9))
@settings(max_examples=25)
def test_ids_are_one_a_token_within_the_entries_and_the_same_again(
    routing: str, tokens: int, features: int, entries: int, seed: int
) -> None:
    ids = make_ids("text", routing, tokens, features, entries, seed)

    assert (torch.int64, (tokens,)) == (ids.dtype, tuple(ids.shape))
    assert all(0 <= each < entries for each in ids.tolist())
    assert torch.equal(ids, make_ids("text", routing, tokens, features, entries, seed))


@every_routing
def test_another_seed_gives_other_ids(routing: str) -> None:
    one, other = (make_ids("text", routing, 50, 8, 10_000, seed) for seed in (0, 1))

    assert not torch.equal(one, other)


@pytest.mark.parametrize("features", [2, 3, 16])
def test_the_id_of_a_window_is_its_last_two_bytes(features: int) -> None:
    rows, ids = text_rows(30, features, seed=4), make_ids("text", "measured", 30, features, 2**16, seed=4)

    # Rows are bytes on another scale: one byte is one value there, and two bytes are two.
    pairs = [(found // 256, found % 256) for found in ids.tolist()]
    scaled = {
        (byte, value)
        for pair, row in zip(pairs, rows[:, -2:].tolist(), strict=True)
        for byte, value in zip(pair, row, strict=True)
    }
    assert len(scaled) == len({byte for byte, _ in scaled}) == len({value for _, value in scaled})
    assert len(scaled) > 10


def test_measured_ids_wrap_around_the_entries() -> None:
    whole = make_ids("text", "measured", 100, 8, 2**16, seed=0)

    assert torch.equal(whole % 48, make_ids("text", "measured", 100, 8, 48, seed=0))


def test_a_single_id_is_that_of_all_tokens() -> None:
    assert 1 == len(set(make_ids("gaussian", "single", 100, 8, 1000, seed=0).tolist()))


def test_uniform_ids_fall_on_each_entry_alike() -> None:
    counts = torch.bincount(make_ids("gaussian", "uniform", 80_000, 8, 8, seed=0), minlength=8)

    # 10,000 each, and a standard deviation of 94.
    assert bool(((counts - 10_000).abs() < 5 * 94).all())


def test_the_most_frequent_ids_of_zipf_have_the_shares_of_their_ranks() -> None:
    counts = torch.bincount(make_ids("gaussian", "zipf", 110_000, 8, 3, seed=0), minlength=3).sort(descending=True)

    # 1, 1/2 and 1/3 of 11/6: 60,000, 30,000 and 20,000, with standard deviations under 170.
    assert bool(((counts.values - torch.tensor([60_000, 30_000, 20_000])).abs() < 5 * 170).all())


def test_ranks_of_zipf_are_dealt_out_by_the_seed() -> None:
    first = {int(make_ids("gaussian", "zipf", 500, 8, 64, seed).mode().values) for seed in range(5)}

    assert len(first) > 1


def test_measured_ids_of_an_input_that_is_no_text_are_refused() -> None:
    with pytest.raises(InputError, match=r"'gaussian' has no token ids; use input = 'text', or routing"):
        make_ids("gaussian", "measured", 3, 8, 16, seed=0)


def test_an_unknown_routing_is_refused() -> None:
    with pytest.raises(InputError, match=r"routing = 'unifrom' is not known; use one of measured, uniform"):
        make_ids("text", "unifrom", 3, 8, 16, seed=0)
