"""Numbers read as people read them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capratio.report.quantities import NOTHING, axis_scale, integer, measured, number, quantity, scale


@pytest.mark.parametrize(
    "value, unit, expected",
    [
        (3.2e-5, "s", "32.0\u00a0µs"),
        (1536.0, "B", "1.50\u00a0KiB"),
        (524288.0, "FLOP", "524\u00a0kFLOP"),
        (12.0, "", "12"),
        (8388096.0, "", "8.39\u00a0M"),
        (None, "s", NOTHING),
        (float("nan"), "s", NOTHING),
    ],
)
def test_a_quantity_has_three_digits_and_one_scaled_unit(value: float | None, unit: str, expected: str) -> None:
    assert expected == quantity(value, unit)


@given(st.floats(min_value=1e-9, max_value=1e3))
def test_a_scaled_time_has_one_to_three_digits_before_the_point(value: float) -> None:
    factor, unit = scale(value, "s")

    assert unit in {"ns", "µs", "ms", "s", "ks"}
    assert 0.999 <= value / factor <= 1000


def test_counts_are_never_scaled_down() -> None:
    assert (1.0, "FLOP") == scale(0.25, "FLOP")


def test_an_axis_has_the_unit_of_its_geometric_middle() -> None:
    assert (1e-6, "µs") == axis_scale([1e-6, 1e-4], "s")
    assert (2.0**20, "MiB") == axis_scale([2.0**20, 2.0**22], "B")
    assert (1.0, "s") == axis_scale([], "s")


def test_integers_are_given_in_full_with_thin_spaces() -> None:
    assert "8,388,096" == integer(8388096)
    assert "8,388,096" == number(8388096.0)
    assert NOTHING == integer(None)


def test_other_numbers_are_given_by_significant_digits() -> None:
    assert "1.04" == number(1.04178)
    assert "0.15" == number(0.15)
    assert NOTHING == number(None)


def test_an_estimate_stands_with_its_interval_and_of_one_process_alone() -> None:
    assert "145\u00a0[143,\u00a0148]\u00a0\u00b5s" == measured(145e-6, 143e-6, 148e-6, "s")
    # The ends of one process are its own latency.
    assert "145\u00a0\u00b5s" == measured(145e-6, 145e-6, 145e-6, "s")
    assert "0.565" == measured(0.565, 0.565, 0.565)
