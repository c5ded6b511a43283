"""A record above its own roof: excused by the spread of the ceilings, measured again, and else an error."""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from capratio.cost.roofline import Ceilings
from capratio.records.codec import encode
from capratio.records.record import Exact, Record, Timing
from capratio.sweep import runner
from capratio.sweep.case import Case
from capratio.sweep.ceilings import RunCeilings, above_roof
from capratio.sweep.job import Job
from capratio.sweep.observer import SilentObserver
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

    def __init__(self, known: Ceilings, again: Ceilings, log: list[str] | None = None) -> None:
        super().__init__(Path(), ("float32",), 0.0)
        self.known, self.again, self.log = known, again, [] if log is None else log

    def refresh(self, device: str, threads: int) -> None:
        self.log.append("ceilings are fresh")
        self._latest[device, threads] = self.known

    def measure(self, device: str, threads: int) -> Ceilings:
        self.log.append("ceilings measured again")
        self._latest[device, threads] = self.again
        return self.again


class Process:
    """A process that gives records, and logs when it begins and ends."""

    def __init__(self, records: list[Record], log: list[str]) -> None:
        self.records, self.log = records, log

    def __call__(self, *_: object) -> Iterator[dict[str, str]]:
        self.log.append("process begins")
        for each in self.records:
            yield {"record": encode(each)}
        self.log.append("process ends")


def limited(monkeypatch: pytest.MonkeyPatch, records: list[Record], stand: Stand) -> list[Record]:
    """The records of a job whose process gives these."""
    monkeypatch.setattr(runner, "run_process", Process(records, stand.log))
    cases = tuple(Case(POINT, "suite", "group", 1) for _ in records)
    return list(runner._limited(Job(cases, 0, 0, 0.0), stand, SilentObserver()))


@pytest.mark.parametrize(("latency_s", "above"), [(1.0, False), (0.91, False), (0.89, True)])
def test_a_record_is_above_its_roof_when_the_spread_does_not_excuse_it(
    latency_s: float, above: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    (found,) = limited(monkeypatch, [record(latency_s)], Stand(ceilings(0.1), ceilings(0.1)))

    assert above == (found.status == "wrong")
    assert found.limit is not None
    assert 1.0 == pytest.approx(found.limit.limit_s)


def test_ceilings_that_were_read_too_low_are_measured_again_and_the_record_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (found,) = limited(monkeypatch, [record(0.5)], Stand(ceilings(0.1), ceilings(0.1, rate=4000.0)))

    assert "measured" == found.status
    assert not above_roof(found)


def test_a_record_that_stays_above_its_roof_has_no_time_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    (found,) = limited(monkeypatch, [record(0.5)], Stand(ceilings(0.1), ceilings(0.1)))

    assert found.timing is None
    assert "a formula of FLOP or bytes is wrong" in (found.reason or "")


def test_ceilings_are_never_measured_beside_a_case(monkeypatch: pytest.MonkeyPatch) -> None:
    stand = Stand(ceilings(0.1), ceilings(0.1, rate=4000.0))

    found = limited(monkeypatch, [record(0.5), record(1.0)], stand)

    assert ["ceilings are fresh", "process begins", "process ends", "ceilings measured again"] == stand.log
    # What lay above its roof is written when its process has ended.
    assert [1.0, 0.5] == [each.timing.latency_s for each in found if each.timing is not None]


def test_ceilings_are_measured_once_in_ten_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    measured: list[str] = []
    run = RunCeilings(Path(), ("float32",), run_started_s=1000.0)

    def measure(self: RunCeilings, device: str, threads: int) -> None:
        measured.append(device)
        self._latest[device, threads] = replace(ceilings(0.1), measured_at_s=time.time() - 1000.0)

    monkeypatch.setattr(RunCeilings, "measure", measure)
    for now_s in (1001.0, 1600.0, 1602.0, 1603.0):
        monkeypatch.setattr(time, "time", lambda now_s=now_s: now_s)
        run.refresh("cpu", 1)

    assert 2 == len(measured)


@pytest.mark.parametrize(("spreads", "kept"), [([0.1], 0.1), ([0.9, 0.2], 0.2), ([0.9, 0.5, 0.6], 0.5)])
def test_ceilings_that_a_busy_machine_spreads_are_measured_up_to_three_times(
    spreads: list[float], kept: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = iter(spreads)
    monkeypatch.setattr(RunCeilings, "_measured", lambda *_: ceilings(next(tries)))
    run = RunCeilings(tmp_path, ("float32",), 0.0)

    assert kept == run.measure("cpu", 1).spread == run.latest("cpu", 1).spread
    assert [] == list(tries)


def test_a_layer_without_a_closed_form_has_no_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    without = replace(record(0.5), exact=replace(EXACT, compulsory_bytes=None))

    assert [None] == [each.limit for each in limited(monkeypatch, [without], Stand(ceilings(0.1), ceilings(0.1)))]
