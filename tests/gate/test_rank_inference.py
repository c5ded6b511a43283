"""Ranks give the p-values of scipy, bounds that are the test turned round, and estimates that a hand can check."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from capratio.gate import rank_inference
from capratio.gate.rank_inference import RankInference, fewest_a_side, paired, unpaired

# Sixty-fourths, so that differences are exact, and thresholds that lie between them.
VALUES = st.lists(st.integers(-64, 64).map(lambda value: value / 64), min_size=3, max_size=12, unique=True)
THRESHOLDS = st.integers(-32, 32).map(lambda value: (value + 0.3) / 64)


def test_three_pairs_by_hand() -> None:
    # Means of all pairs of 1, 2 and 6, each with itself too: 1, 1.5, 2, 3.5, 4, 6.
    inference = paired([6.0, 1.0, 2.0])

    assert [1.0, 1.5, 2.0, 3.5, 4.0, 6.0] == inference.differences.tolist()
    assert 2.75 == inference.estimate
    # All three ranks positive in one of eight ways.
    assert 1 / 8 == inference.p_above(0.0) == inference.least_p
    # Sums of 3, 4, 5 and 6 of the ranks 1, 2, 3: {3}, {1, 2}, {1, 3}, {2, 3} and all, five ways of eight.
    assert 5 / 8 == inference.p_above(2.0)


def test_two_against_two_by_hand() -> None:
    inference = unpaired([0.0, 1.0], [3.0, 5.0])

    assert [2.0, 3.0, 4.0, 5.0] == inference.differences.tolist()
    assert 3.5 == inference.estimate
    # Six ways to deal four ranks; in one of them both heads are largest, in two, three pairs of four or more.
    assert 1 / 6 == inference.p_above(0.0)
    assert 2 / 6 == inference.p_above(2.0)


@given(values=VALUES, threshold=THRESHOLDS)
def test_paired_p_values_are_those_of_scipy(values: list[float], threshold: float) -> None:
    shifted = np.array(values) - threshold
    expected = stats.wilcoxon(shifted, alternative="greater", method="exact").pvalue

    assert pytest.approx(expected) == paired(values).p_above(threshold)


@given(base=VALUES, head=VALUES, threshold=THRESHOLDS)
def test_unpaired_p_values_are_those_of_scipy(base: list[float], head: list[float], threshold: float) -> None:
    shifted = np.array(head) - threshold
    expected = stats.mannwhitneyu(shifted, base, alternative="greater", method="exact").pvalue

    assert pytest.approx(expected) == unpaired(base, head).p_above(threshold)


@given(values=VALUES, alpha=st.sampled_from([0.01, 0.05, 0.2]))
def test_a_bound_is_the_threshold_at_which_the_test_turns(values: list[float], alpha: float) -> None:
    inference = paired(values)
    low, high = inference.low(alpha), inference.high(alpha)

    if math.isfinite(low):
        assert inference.p_above(np.nextafter(low, -2.0)) <= alpha < inference.p_above(low)
        assert inference.p_below(np.nextafter(high, 2.0)) <= alpha < inference.p_below(high)
    else:
        assert inference.least_p > alpha
        assert math.inf == high


@given(values=VALUES)
def test_turning_the_sides_turns_the_answer(values: list[float]) -> None:
    forth, back = paired(values), paired([-value for value in values])

    assert pytest.approx(-forth.estimate) == back.estimate
    assert forth.p_above(0.0) == back.p_below(0.0)
    assert -forth.low(0.1) == back.high(0.1)


@pytest.mark.parametrize("inference", [paired([0.1] * 3), unpaired([0.0] * 3, [0.1] * 3)])
def test_ties_are_never_counted_as_above(inference: RankInference) -> None:
    assert 1.0 == inference.p_above(0.1)
    assert inference.least_p == inference.p_above(0.0)


def test_the_fewest_processes_are_counted_by_hand() -> None:
    # Twelve pairs: 2^-12 is 1 in 4096, and 5 % over 200 cases is 1 in 4000.
    assert paired([0.1] * 11).least_p > 0.05 / 200 >= paired([0.1] * 12).least_p
    # Six against six: 1 in 924.
    assert 6 == fewest_a_side(1 / 924)
    assert 7 == fewest_a_side(1 / 925)


@pytest.mark.parametrize("rows", [30, 60])
def test_many_samples_are_near_the_exact_answer(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    base, head = rng.normal(size=rows), rng.normal(0.3, size=rows)
    exact = unpaired(base.tolist(), head.tolist()), paired(head.tolist())

    monkeypatch.setattr(rank_inference, "MOST_EXACT", 10)
    rank_inference._rank_sum_tail.cache_clear()
    rank_inference._signed_rank_tail.cache_clear()
    near = unpaired(base.tolist(), head.tolist()), paired(head.tolist())
    rank_inference._rank_sum_tail.cache_clear()
    rank_inference._signed_rank_tail.cache_clear()

    for one, other in zip(exact, near, strict=True):
        assert pytest.approx(one.p_above(0.0), abs=2e-3) == other.p_above(0.0)


def test_more_samples_than_are_compared_are_thinned_evenly() -> None:
    inference = unpaired(np.linspace(0.0, 1.0, 5001).tolist(), [2.0])

    assert rank_inference.MOST_SAMPLES == len(inference.differences)
    assert pytest.approx(1.5, abs=1e-3) == inference.estimate
