"""The roofline: by hand on a curve of three points, its bound, its round trip, and ceilings that cannot be."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capratio.cost import Ceilings, limit
from capratio.cost.roofline import interpolate
from capratio.errors import InputError

# 100 GB/s up to 1 kB, 10 GB/s from 1 MB, 1 GB/s at 1 GB.
CURVE = ((1e3, 100e9), (1e6, 10e9), (1e9, 1e9))
CEILINGS = Ceilings(
    measured_at_s=1.5,
    threads=2,
    device="cpu",
    read_curve=CURVE,
    copy_curve=CURVE[:1],
    random_row_curve=(),
    flop_per_s={"float32": 50e9, "float64": 25e9},
    spread=0.03,
)


def test_cold_bytes_come_from_the_largest_footprint() -> None:
    # 2 MB at 1 GB/s are 2 ms; 50 MFLOP at 50 GFLOP/s are 1 ms.
    found = limit(CEILINGS, 50_000_000, 2_000_000, "cold", "float32")

    assert (0.002, "memory", 1e9, 50e9) == found
    assert found.limit_s == 0.002


def test_warm_bytes_come_from_the_level_that_holds_them() -> None:
    # 1 MB at 10 GB/s are 0.1 ms.
    assert pytest.approx(1e-4) == limit(CEILINGS, 0, 1_000_000, "warm", "float32").limit_s


def test_flop_bound_where_arithmetic_takes_longer() -> None:
    # 50 MFLOP at 25 GFLOP/s are 2 ms, and 1 kB is nothing.
    assert (0.002, "compute", 100e9, 25e9) == limit(CEILINGS, 50_000_000, 1000, "warm", "float64")


@pytest.mark.parametrize(
    "footprint, bandwidth", [(0, 100e9), (1, 100e9), (1e3, 100e9), (1e6, 10e9), (1e9, 1e9), (1e12, 1e9)]
)
def test_bandwidth_is_a_point_of_the_curve_or_its_end(footprint: float, bandwidth: float) -> None:
    assert pytest.approx(bandwidth) == interpolate(CURVE, footprint)


def test_bandwidth_between_points_is_linear_in_the_logarithms() -> None:
    # Half way from 1e3 to 1e6 in log is 10^4.5; half way from 100e9 to 10e9 is 10^10.5.
    assert pytest.approx(10**10.5) == interpolate(CURVE, 10**4.5)


@given(footprint=st.integers(0, 2**50))
def test_bandwidth_stays_within_the_curve(footprint: int) -> None:
    assert 1e9 * (1 - 1e-12) <= interpolate(CURVE, footprint) <= 100e9 * (1 + 1e-12)


@given(flop=st.integers(0, 2**60), touched=st.integers(0, 2**50), cache=st.sampled_from(["warm", "cold"]))
def test_limit_is_never_under_either_roof(flop: int, touched: int, cache: str) -> None:
    found = limit(CEILINGS, flop, touched, cache, "float32")

    assert found.limit_s >= flop / 50e9
    assert found.limit_s >= touched / found.bandwidth_bytes_per_s


def test_nothing_to_do_takes_no_time() -> None:
    assert 0.0 == limit(CEILINGS, 0, 0, "warm", "float32").limit_s


def test_limit_refuses_what_was_not_measured() -> None:
    with pytest.raises(InputError, match="dtype='bfloat16'; measured are: float32, float64"):
        limit(CEILINGS, 1, 1, "warm", "bfloat16")
    with pytest.raises(InputError, match="cache='tepid' is not known; it must be one of warm, cold"):
        limit(CEILINGS, 1, 1, "tepid", "float32")
    with pytest.raises(InputError, match="flop_total=-1"):
        limit(CEILINGS, -1, 1, "warm", "float32")


def test_ceilings_survive_json() -> None:
    assert CEILINGS == Ceilings.from_dict(json.loads(json.dumps(CEILINGS.to_dict())))


@pytest.mark.parametrize(
    "changed, message",
    [
        ({"read_curve": ()}, "read_curve is empty"),
        ({"read_curve": ((1e6, 1e9), (1e3, 1e9))}, "read_curve has the footprints"),
        ({"copy_curve": ((1e6, 1e9), (1e6, 2e9))}, "they must rise"),
        ({"copy_curve": ((1e6, 0.0),)}, "copy_curve holds"),
        ({"random_row_curve": ((float("nan"), 1e9),)}, "positive and finite"),
        ({"flop_per_s": {"float32": 0.0}}, r"flop_per_s\['float32'\]=0.0"),
        ({"spread": float("inf")}, "spread=inf"),
        ({"spread": -0.1}, "spread=-0.1"),
    ],
)
def test_ceilings_that_cannot_be_are_refused(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        replace(CEILINGS, **changed)


@pytest.mark.parametrize(
    "changed, message",
    [
        ({"extra": 1}, "the keys must be"),
        ({"threads": 2.5}, "threads=2.5"),
        ({"threads": True}, "threads=True"),
        ({"spread": "0.1"}, "spread='0.1'"),
        ({"measured_at_s": float("nan")}, "measured_at_s=nan"),
        ({"read_curve": 7}, "read_curve was given in ceilings as int"),
        ({"read_curve": [[1, 2, 3]]}, "it must list"),
        ({"read_curve": [[1, "fast"]]}, "read_curve='fast'"),
        ({"flop_per_s": [1]}, r"flop_per_s=\[1\]"),
        ({"flop_per_s": {"float32": None}}, "must be a finite number"),
    ],
)
def test_foreign_ceilings_are_refused(changed: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Ceilings.from_dict({**CEILINGS.to_dict(), **changed})
