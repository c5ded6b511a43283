"""Scaled values read between 1 and 1000 and keep their significant digits."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capratio.units import scaled, seconds, significant, size


@pytest.mark.parametrize(
    "value_s, shown",
    [
        (0.0, "0 s"),
        (1.234e-8, "12.3 ns"),
        (0.0009997, "1.00 ms"),
        (0.5, "500 ms"),
        (59.4, "59.4 s"),
        (61.0, "1 min 01 s"),
        (7199.0, "2 h 00 min"),
        (math.inf, "inf s"),
    ],
)
def test_a_duration_reads_in_its_own_unit(value_s: float, shown: str) -> None:
    assert shown == seconds(value_s)


@pytest.mark.parametrize(
    "value_bytes, shown", [(0, "0 B"), (7, "7 B"), (1023, "1023 B"), (1 << 20, "1.00 MiB"), (3 << 29, "1.50 GiB")]
)
def test_bytes_scale_by_1024(value_bytes: int, shown: str) -> None:
    assert shown == size(value_bytes)


def test_a_rate_scales_by_1000() -> None:
    assert "52.1 GFLOP/s" == scaled(52.1e9, "FLOP/s")


@pytest.mark.parametrize(
    "value, shown", [(9.996, "10.0"), (0.01234, "0.0123"), (1024.2, "1024"), (-2.5, "-2.50"), (0.0, "0")]
)
def test_significant_digits_survive_rounding(value: float, shown: str) -> None:
    assert shown == significant(value)


@given(st.floats(1e-9, 1e16))
def test_the_number_before_the_unit_lies_between_1_and_1000(value: float) -> None:
    number, unit = scaled(value, "s").split(" ")

    assert 1.0 <= float(number) < 1000.0
    assert unit.endswith("s")
