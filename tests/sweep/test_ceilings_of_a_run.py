"""A record above its own roof: excused by the spread of the ceilings, measured again, and else an error."""

from dataclasses import replace
from pathlib import Path

import pytest

from capratio.cost.roofline import Ceilings
from capratio.records.record import Exact, Record, Timing
from capratio.sweep.ceilings import RunCeilings, above_roof, with_limit
from tests.sweep import points

POINT = replace(points.POINT, layer="dense", in_features=10, out_features=10, depth=0, tokens=1, cache="cold")
FLOP = {"product": 200, "overhead": 0, "gating": 0, "bias": 0, "padded": 0}
# 1000 bytes at 1000 bytes a second take one second; 200 FLOP at 2000 a second a tenth of it.
EXACT = Exact(FLOP, FLOP, FLOP, 0, 100, 100, 100, 100.0, 1000, 1000, (1,), (1.0,), 1.0, 1.0)
CURVE = ((1024.0, 1000.0), (2048.0, 1000.0))


def ceilings(spread: float, rate: float = 1000.0) -> Ceilings:
    curve = tuple((footprint, rate) for footprint, _ in CURVE)
    return Ceilings(0.0, 1, "cpu", curve, curve, curve, {"float32": 2000.0}, spread)


def record(latency_s: float) -> Record:
    timing = Timing((latency_s,) * 3, 1, 0, "count", 0.0)
    return Record("id", 0, 0, "suite", "group", (), "measured", None, "now", POINT, exact=EXACT, timing=timing)


class Stand(RunCeilings):
    """Ceilings that are given: first ``known``, then ``again`` when they are measured anew."""

    def __init__(self, known: Ceilings, again: Ceilings) -> None:
        super().__init__(Path(), ("float32",), 0.0)
        self.known, self.again, self.measured = known, again, 0

    def current(self, device: str, threads: int) -> Ceilings:
        return self.known

    def measure(self, device: str, threads: int) -> Ceilings:
        self.measured += 1
        return self.again


@pytest.mark.parametrize(("latency_s", "above"), [(1.0, False), (0.91, False), (0.89, True)])
def test_a_record_is_above_its_roof_when_the_spread_does_not_excuse_it(latency_s: float, above: bool) -> None:
    stand = Stand(ceilings(0.1), ceilings(0.1))

    limited = with_limit(record(latency_s), stand)

    assert above == (limited.status == "wrong")
    assert int(above) == stand.measured
    assert limited.limit is not None
    assert 1.0 == pytest.approx(limited.limit.limit_s)


def test_ceilings_that_were_read_too_low_are_measured_again_and_the_record_stays() -> None:
    stand = Stand(ceilings(0.1), ceilings(0.1, rate=4000.0))

    limited = with_limit(record(0.5), stand)

    assert "measured" == limited.status
    assert 1 == stand.measured
    assert not above_roof(limited)


def test_a_record_that_stays_above_its_roof_has_no_time_and_says_why() -> None:
    limited = with_limit(record(0.5), Stand(ceilings(0.1), ceilings(0.1)))

    assert limited.timing is None
    assert "a formula of FLOP or bytes is wrong" in (limited.reason or "")


def test_a_layer_without_a_closed_form_has_no_limit() -> None:
    without = replace(record(0.5), exact=replace(EXACT, compulsory_bytes=None))

    assert with_limit(without, Stand(ceilings(0.1), ceilings(0.1))).limit is None
