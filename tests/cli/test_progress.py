"""Progress shows how far a sweep is, and never hides what went wrong."""

import io
from dataclasses import replace

import pytest
from rich.console import Console
from rich.progress import Progress

from capratio.cli.progress import BarProgress, LineProgress, sweep_progress
from capratio.records.record import Point, Record

MEASURED = Record(
    case="dense/p8-q8-k0/n1/float32/cpu/decode",
    replicate=0,
    block=0,
    suite="quick",
    group="line",
    claims=(),
    status="measured",
    reason=None,
    started_at="2026-01-01T00:00:00+00:00",
    point=Point("dense", "path", 8, 8, 0, 1, "float32", "cpu", "decode", "cold", "text", "measured", "reference", 1),
)
REFUSED = replace(MEASURED, case="tree[form]", status="refused", reason="8 GiB is more than is free.")


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """Yes."""
        return True


def test_a_log_gets_its_first_and_last_line_and_each_failure() -> None:
    stream = io.StringIO()
    progress = LineProgress(stream, between_s=1e9)

    progress.started(4)
    for record in (MEASURED, REFUSED, replace(REFUSED, replicate=1), MEASURED):
        progress.case_started(record.case, record.replicate)
        progress.finished(record)

    assert [
        "4 measurements to make",
        "tree[form] #0: refused, 8 GiB is more than is free.",
        "tree[form] #1: refused, as before",
        f"4/4 {MEASURED.case}",
    ] == stream.getvalue().splitlines()


def test_a_log_gets_a_line_when_its_time_has_come() -> None:
    stream = io.StringIO()
    progress = LineProgress(stream, between_s=0.0)

    progress.started(9)
    progress.finished(MEASURED)

    assert f"1/9 {MEASURED.case}" == stream.getvalue().splitlines()[-1]


def test_a_bar_counts_records_and_keeps_the_line_of_a_failure() -> None:
    stream = io.StringIO()
    bar = Progress(console=Console(file=stream, width=200))
    progress = BarProgress(bar)

    progress.started(4)
    progress.case_started(REFUSED.case, 1)
    progress.finished(REFUSED)

    assert (4, 1) == (bar.tasks[0].total, bar.tasks[0].completed)
    # Square brackets of a case id are no markup.
    assert "tree[form] #0: refused, 8 GiB is more than is free." in stream.getvalue()


@pytest.mark.parametrize("stream, kind", [(Terminal(), BarProgress), (io.StringIO(), LineProgress)])
def test_a_terminal_gets_a_bar_and_a_log_gets_lines(stream: io.StringIO, kind: type) -> None:
    with sweep_progress(stream) as progress:
        assert kind is type(progress)
