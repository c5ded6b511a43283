"""How a case is sampled is checked when it is said, and that a gate has a feature for each bit."""

from math import inf, nan
from typing import Any

import pytest

from capratio.cost.spec import LayerSpec
from capratio.errors import InputError
from capratio.sweep.case import Sampling, check_bits


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


@pytest.mark.parametrize(
    ("layer", "gate", "way_out"),
    [
        ("tree-shared", "signs", "a depth of at most 4, or gate hyperplanes."),
        ("tree-bias", "signs", "a depth of at most 4, or gate hyperplanes."),
        ("tree-unit", "signs", "a depth of at most 4."),
        ("tree-unit", "thresholds", "a depth of at most 4."),
    ],
)
def test_more_bits_than_features_are_refused_with_a_way_out_that_the_layer_has(
    layer: str, gate: str, way_out: str
) -> None:
    check_bits(LayerSpec(layer, 4, 4, depth=4, gate=gate))

    with pytest.raises(InputError, match=f"depth = 5 with in_features = 4, but each bit of gate {gate} .*{way_out}$"):
        check_bits(LayerSpec(layer, 4, 4, depth=5, gate=gate))


def test_hyperplanes_may_have_more_bits_than_features() -> None:
    check_bits(LayerSpec("tree-shared", 4, 4, depth=5, gate="hyperplanes"))
