"""An imposed routing sets which leaves tokens reach, and changes nothing of the rows but signs."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from capratio.errors import InputError
from capratio.inputs.routing import RANKED_DEPTH, RANKED_PATTERNS, impose_routing
from capratio.inputs.table import ROUTINGS, make_input

IMPOSED = tuple(routing for routing in ROUTINGS if routing != "measured")
every_routing = pytest.mark.parametrize("routing", ROUTINGS)
every_imposed = pytest.mark.parametrize("routing", IMPOSED)


def leaves_of(x: torch.Tensor, columns: torch.Tensor) -> list[int]:
    """The leaf of each token, int(b_1..b_k), by Python's own binary numbers."""
    return [int("0" + "".join("1" if value > 0 else "0" for value in row), 2) for row in x[:, columns].tolist()]


def counts_of(x: torch.Tensor, columns: torch.Tensor) -> list[int]:
    """How many tokens each visited leaf has, most first."""
    leaves = leaves_of(x, columns)
    return sorted((leaves.count(leaf) for leaf in set(leaves)), reverse=True)


def uniform_distinct(leaves: int, tokens: int) -> tuple[float, float]:
    """Mean and standard deviation of the number of distinct leaves of uniform tokens.

    E(1 - (1 - 1/E)^N) with E leaves and N tokens; the variance is that of a sum of E equally correlated indicators.
    """
    missed = (1 - 1 / leaves) ** tokens
    both_missed = (1 - 2 / leaves) ** tokens
    variance = leaves * missed * (1 - missed) + leaves * (leaves - 1) * (both_missed - missed**2)
    return leaves * (1 - missed), math.sqrt(variance)


def looks_uniform(x: torch.Tensor, columns: torch.Tensor) -> bool:
    """Whether the visited leaves are as many as uniform tokens visit, within five standard deviations."""
    mean, deviation = uniform_distinct(2 ** len(columns), len(x))
    return abs(len(set(leaves_of(x, columns))) - mean) <= 5 * deviation


@every_imposed
@given(tokens=st.integers(0, 5), depth=st.integers(0, 8), extra=st.integers(0, 3), seed=st.integers(-9, 9))
def test_only_signs_of_the_columns_change(routing: str, tokens: int, depth: int, extra: int, seed: int) -> None:
    x = make_input("gaussian", tokens, depth + extra + 1, seed)
    columns = torch.randperm(depth + extra + 1, generator=torch.Generator().manual_seed(0))[:depth]
    others = torch.ones(depth + extra + 1, dtype=torch.bool)
    others[columns] = False

    routed = impose_routing(x, columns, routing, seed)

    assert torch.equal(x.abs(), routed.abs())
    assert torch.equal(x[:, others], routed[:, others])


@every_imposed
def test_a_zero_gets_magnitude_one_in_the_columns_only(routing: str) -> None:
    x = torch.zeros(3, 4, dtype=torch.float64)

    routed = impose_routing(x, torch.tensor([2, 0]), routing, seed=0)

    assert [[1.0, 0.0, 1.0, 0.0]] * 3 == routed.abs().tolist()


@every_routing
def test_the_given_rows_are_not_written_to(routing: str) -> None:
    x = make_input("gaussian", 50, 6, seed=0)
    before = x.clone()

    impose_routing(x, torch.arange(6), routing, seed=0)

    assert torch.equal(before, x)


@pytest.mark.parametrize("depth", [16, 70])
@every_imposed
def test_the_same_seed_gives_the_same_rows_and_another_seed_others(routing: str, depth: int) -> None:
    x = make_input("gaussian", 100, depth, seed=0)
    columns = torch.arange(depth)

    routed = [impose_routing(x, columns, routing, seed) for seed in (4, 4, 5)]

    assert torch.equal(routed[0], routed[1])
    assert not torch.equal(routed[0], routed[2])


def test_measured_leaves_the_rows_as_they_are() -> None:
    x = make_input("text", 10, 8, seed=0)

    assert torch.equal(x, impose_routing(x, torch.arange(8), "measured", seed=0))


@every_routing
def test_no_columns_leave_the_rows_as_they_are(routing: str) -> None:
    x = torch.zeros(3, 4, dtype=torch.float64)

    assert torch.equal(x, impose_routing(x, torch.empty(0, dtype=torch.int64), routing, seed=0))


@every_routing
@pytest.mark.parametrize("depth", [0, 4, 70])
def test_no_tokens_stay_no_tokens(routing: str, depth: int) -> None:
    x = torch.empty(0, 70, dtype=torch.float64)

    assert (0, 70) == impose_routing(x, torch.arange(depth), routing, seed=0).shape


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("depth, tokens", [(4, 30), (8, 256), (12, 1000)])
def test_uniform_visits_as_many_leaves_as_uniform_tokens_do(depth: int, tokens: int, seed: int) -> None:
    x = make_input("text", tokens, 16, seed)
    columns = torch.arange(16)[:depth]

    assert looks_uniform(impose_routing(x, columns, "uniform", seed), columns)


def test_a_routing_that_is_not_uniform_is_seen_not_to_be() -> None:
    x = make_input("text", 256, 16, seed=0)
    columns = torch.arange(8)

    assert not looks_uniform(impose_routing(x, columns, "zipf", seed=0), columns)
    assert not looks_uniform(impose_routing(x, columns, "single", seed=0), columns)


def test_uniform_leaves_are_equally_frequent() -> None:
    x = make_input("gaussian", 8000, 3, seed=0)

    counts = counts_of(impose_routing(x, torch.arange(3), "uniform", seed=0), torch.arange(3))

    # 24.3 is the 99.9 % point of chi-square with seven degrees of freedom.
    assert 8 == len(counts)
    assert 24.3 > sum((count - 1000) ** 2 / 1000 for count in counts)


def test_uniform_signs_tell_nothing_of_the_gaussian_magnitudes_of_the_same_seed() -> None:
    x = make_input("gaussian", 10000, 1, seed=0)

    routed = impose_routing(x, torch.arange(1), "uniform", seed=0)

    correlation = torch.corrcoef(torch.stack([routed[:, 0].sign(), x[:, 0].abs()]))[0, 1].item()
    assert 0.0 == pytest.approx(correlation, abs=5 / math.sqrt(10000))


@pytest.mark.parametrize("depth", [2, 6])
def test_the_zipf_leaf_of_rank_r_has_a_share_in_one_over_r(depth: int) -> None:
    tokens = 6000
    x = make_input("gaussian", tokens, depth, seed=0)
    columns = torch.arange(depth)
    harmonic = sum(1 / rank for rank in range(1, 2**depth + 1))

    counts = counts_of(impose_routing(x, columns, "zipf", seed=0), columns)

    for rank, count in enumerate(counts[:4], start=1):
        share = 1 / (rank * harmonic)
        assert tokens * share == pytest.approx(count, abs=5 * math.sqrt(tokens * share * (1 - share)))


def test_zipf_deals_its_first_rank_to_a_leaf_by_seed() -> None:
    x = make_input("gaussian", 300, 8, seed=0)
    columns = torch.arange(8)
    firsts = set()

    for seed in range(6):
        leaves = leaves_of(impose_routing(x, columns, "zipf", seed), columns)
        firsts.add(max(set(leaves), key=leaves.count))

    assert 1 < len(firsts)


def test_zipf_beyond_ranked_depth_shares_patterns_as_a_ranked_tree_does() -> None:
    tokens, depth = 3000, RANKED_DEPTH + 50
    x = make_input("gaussian", tokens, depth, seed=0)
    columns = torch.arange(depth)
    share = 1 / sum(1 / rank for rank in range(1, RANKED_PATTERNS + 1))

    counts = counts_of(impose_routing(x, columns, "zipf", seed=0), columns)

    assert tokens * share == pytest.approx(counts[0], abs=5 * math.sqrt(tokens * share * (1 - share)))
    assert RANKED_PATTERNS > len(counts) > 1


def test_uniform_beyond_any_leaf_number_has_independent_signs() -> None:
    x = make_input("gaussian", 500, 80, seed=0)

    routed = impose_routing(x, torch.arange(80), "uniform", seed=0)

    assert 500 == len(set(leaves_of(routed, torch.arange(80))))
    assert 0.5 == pytest.approx((routed > 0).double().mean().item(), abs=5 * 0.5 / math.sqrt(500 * 80))


@pytest.mark.parametrize("depth", [1, 10, RANKED_DEPTH + 1, 80])
def test_single_sends_all_tokens_to_one_leaf(depth: int) -> None:
    x = make_input("text", 200, 80, seed=0)
    columns = torch.arange(80)[:depth]

    assert [200] == counts_of(impose_routing(x, columns, "single", seed=0), columns)


def test_the_first_column_is_the_most_significant_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    x = make_input("gaussian", 4000, 9, seed=0)
    columns = torch.tensor([7, 2, 4])
    # Ranks not dealt out: leaf 0 is the most frequent, then 1 = 001, 2 = 010, and so on.
    monkeypatch.setattr(torch, "randperm", lambda n, generator: torch.arange(n))

    leaves = leaves_of(impose_routing(x, columns, "zipf", seed=0), columns)

    # Read in the other order, leaf 1 would be leaf 4, the fifth most frequent.
    assert [0, 1, 2, 3] == sorted(set(leaves), key=leaves.count, reverse=True)[:4]


def test_real_text_visits_fewer_leaves_than_uniform_tokens_do() -> None:
    tokens, depth = 2000, 10
    x = make_input("text", tokens, 64, seed=0)
    mean, deviation = uniform_distinct(2**depth, tokens)

    visited = len(set(leaves_of(x, torch.arange(depth))))

    assert mean - 5 * deviation > visited > 1


def test_an_unknown_routing_names_the_known_ones() -> None:
    with pytest.raises(InputError, match="'random' is not known; use one of measured, uniform, zipf, single"):
        impose_routing(torch.ones(2, 3), torch.arange(2), "random", seed=0)


@pytest.mark.parametrize("columns", [[0, 0], [3], [-1]])
@every_routing
def test_columns_that_x_does_not_have_once_are_refused(routing: str, columns: list[int]) -> None:
    with pytest.raises(InputError, match=r"repeat or are outside 0\.\.2"):
        impose_routing(torch.ones(2, 3), torch.tensor(columns), routing, seed=0)


@pytest.mark.parametrize("x, columns", [(torch.ones(3), torch.arange(2)), (torch.ones(2, 3), torch.ones(1, 2))])
@every_routing
def test_shapes_that_are_not_rows_and_columns_are_refused(routing: str, x: torch.Tensor, columns: torch.Tensor) -> None:
    with pytest.raises(InputError, match=r"give x as \(tokens, features\) and columns as \(depth,\)"):
        impose_routing(x, columns, routing, seed=0)
