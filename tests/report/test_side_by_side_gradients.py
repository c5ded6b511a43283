"""What recording adds to a forward pass is counted inside a process, point by point."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from capratio.records.record import Record, Timing
from capratio.report import side_by_side_gradients
from capratio.report.page import write_report
from capratio.report.side_by_side_gradients import gradient_overheads
from capratio.report.side_by_side_tables import GRADIENT_WORDS

Maker = Callable[..., Record]
Make = Callable[..., list[Record]]


@pytest.fixture
def make(record_maker: Maker) -> Make:
    """Records of one pass of one backend: a process a latency, in microseconds."""

    def made(pass_: str, *latencies_us: float, tokens: int = 8, backend: str = "auto") -> list[Record]:
        records = []
        for replicate, latency_us in enumerate(latencies_us):
            record = record_maker(
                "tree-shared", "collapsed", 8, 4, 2, tokens=tokens, pass_=pass_, cache="warm", replicate=replicate
            )
            case = record.case.replace("/reference/", f"/{backend}/")
            records.append(replace(record, case=case, timing=Timing((latency_us * 1e-6,), 1, 0, "count", 1.0)))
        return records

    return made


def test_recording_is_held_against_inference_mode_process_by_process(make: Make) -> None:
    records = [
        *make("forward", 100, 200, 400),
        *make("forward-grad", 130, 210, 420),
        *make("forward", 50, 50, 50, tokens=1),
        *make("forward-grad", 54, 70, 56, tokens=1),
        *make("forward", 10, 10, 10, backend="reference"),
    ]

    (row,) = gradient_overheads(records)

    assert ("tree-shared, collapsed", "auto", 2) == (row.series, row.backend, row.points)
    # Medians of the points 200 and 50 us.
    assert 125e-6 == pytest.approx(row.inferred_s)
    # 30, 10 and 20 us at one point, 4, 20 and 6 at the other: 17, 15 and 13 in the processes.
    assert 15e-6 == pytest.approx(row.overhead_s.value)
    assert row.overhead_s.low < 15e-6 < row.overhead_s.high
    assert 20e-6 == pytest.approx(row.largest_s.value)
    assert "/n8/" in row.case


def test_each_backend_has_a_row_and_recording_may_add_nothing(make: Make) -> None:
    records = [
        *make("forward", 100.0),
        *make("forward-grad", 99.0),
        *make("forward", 100.0, backend="reference"),
        *make("forward-grad", 150.0, backend="reference"),
    ]

    ours, peer = gradient_overheads(records)

    assert ("auto", "reference") == (ours.backend, peer.backend)
    assert (-1e-6, 50e-6) == pytest.approx((ours.overhead_s.value, peer.overhead_s.value))


def test_a_point_that_was_called_one_way_has_no_part(make: Make) -> None:
    assert [] == gradient_overheads(make("forward", 100.0) + make("forward-grad", 99.0, tokens=16))


@pytest.mark.parametrize("name", ["index_html", "markdown"])
def test_a_page_has_a_row_for_each_backend_that_recorded(
    make: Make, run_writer: Callable[[Path, list[Record]], Path], tmp_path: Path, name: str
) -> None:
    records = make("forward", 100.0) + make("forward-grad", 150.0) + make("forward", 400.0, backend="reference")

    files = write_report(run_writer(tmp_path / "run", records), tmp_path / "report", "capratio report run")

    page = getattr(files, name).read_text(encoding="utf-8")
    assert GRADIENT_WORDS in page
    assert "tree-shared, collapsed: auto" in page
    assert "tree-shared, collapsed: reference" not in page


def test_held_against_another_point_the_overhead_is_seen_to_be_wrong(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = make("forward", 100.0, tokens=16) + make("forward", 50.0) + make("forward-grad", 130.0, tokens=16)
    (right,) = gradient_overheads(records)

    monkeypatch.setattr(side_by_side_gradients, "RECORDED", "/n16/float32/cpu/forward-grad/")
    monkeypatch.setattr(side_by_side_gradients, "INFERRED", "/n8/float32/cpu/forward/")
    (wrong,) = gradient_overheads(records)

    assert 30e-6 == pytest.approx(right.overhead_s.value)
    assert 80e-6 == pytest.approx(wrong.overhead_s.value)
