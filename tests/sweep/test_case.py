"""How a case is sampled is checked when it is said, and that a gate has a feature for each bit."""

from math import inf, nan
from typing import Any

import pytest

from capratio.errors import InputError
from capratio.sweep.case import Sampling


def test_counts_from_one_on_and_positive_seconds_are_sampling() -> None:
    sampling = Sampling(min_samples=1, max_samples=1, time_limit_s=1, case_time_limit_s=0.5, decode_tokens=1)

    assert 1 == sampling.time_limit_s


@pytest.mark.parametrize("name", ["min_samples", "max_samples", "decode_tokens"])
@pytest.mark.parametrize("given", ["ten", 0, -1, 1.5, True, None, [3]])
def test_a_count_that_is_no_integer_from_one_on_is_refused_by_its_name(name: str, given: Any) -> None:
    with pytest.raises(InputError, match=f"^{name} is .*; give an integer, 1 or more"):
        Sampling(**{name: given})


@pytest.mark.parametrize("name", ["time_limit_s", "case_time_limit_s"])
@pytest.mark.parametrize("given", ["x", 0, -1, nan, inf, -inf, True, None])
def test_seconds_that_are_not_positive_and_finite_are_refused_by_their_name(name: str, given: Any) -> None:
    with pytest.raises(InputError, match=f"^{name} is .*; give a positive, finite number of seconds"):
        Sampling(**{name: given})


def test_fewer_samples_at_most_than_at_least_are_refused() -> None:
    with pytest.raises(InputError, match="min_samples is 10 and max_samples 5; give a max_samples of at least"):
        Sampling(min_samples=10, max_samples=5)
