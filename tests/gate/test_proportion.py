"""A share's exact interval, against values that tables of Clopper and Pearson have."""

import pytest

from capratio.gate.proportion import Proportion


@pytest.mark.parametrize(
    "count, tries, low, high",
    [
        (0, 10, 0.0, 0.30850),
        (0, 1000, 0.0, 0.0036821),
        (10, 10, 0.69150, 1.0),
        (1, 10, 0.0025286, 0.44502),
        (5, 10, 0.18709, 0.81291),
    ],
)
def test_the_interval_is_that_of_clopper_and_pearson(count: int, tries: int, low: float, high: float) -> None:
    assert (low, high) == pytest.approx(Proportion(count, tries).interval, rel=1e-4)


def test_of_no_try_nothing_is_known() -> None:
    assert (0.0, (0.0, 1.0)) == (Proportion(0, 0).share, Proportion(0, 0).interval)


def test_the_share_is_what_was_counted() -> None:
    assert 0.3 == Proportion(3, 10).share
