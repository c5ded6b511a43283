"""A sweep's progress for a person: a bar on a terminal, a line now and then elsewhere."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, TextIO

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from capratio.units import counted

if TYPE_CHECKING:
    from capratio.records.record import Record
    from capratio.sweep.observer import Observer

# Often enough to see that a sweep lives, seldom enough for a log of a run of hours.
SECONDS_BETWEEN_LINES = 15.0


@contextmanager
def sweep_progress(stream: TextIO | None = None) -> "Iterator[Observer]":
    """An observer of a sweep that shows on ``stream`` (the error stream unless given) while the block runs."""
    stream = stream if stream is not None else sys.stderr
    if not stream.isatty():
        yield LineProgress(stream)
        return
    # The parts of a long case id that differ stand at its end, so the bar is short and the id has the rest of the line.
    columns = (
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=Console(file=stream)) as progress:
        yield BarProgress(progress)


class BarProgress:
    """A bar with the case that runs beside it; what went wrong stays above it."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task: TaskID = progress.add_task("", total=None)
        self._failures = _Failures()

    def started(self, total: int) -> None:
        """Show how many replicates of cases there are to measure."""
        self._progress.update(self._task, total=total)

    def case_started(self, case_id: str, replicate: int) -> None:
        """Name the case that runs."""
        self._progress.update(self._task, description=escape(f"{case_id} #{replicate}"))

    def finished(self, record: "Record") -> None:
        """Go one step, and keep a line of a case that has no measurement."""
        if not record.measured:
            self.note(self._failures.line(record))
        self._progress.advance(self._task)

    def note(self, message: str) -> None:
        """Keep a line above the bar."""
        self._progress.console.print(escape(message), highlight=False)


class LineProgress:
    """Lines of plain text, at most one in some seconds beside those that say what went wrong."""

    def __init__(self, stream: TextIO, between_s: float = SECONDS_BETWEEN_LINES) -> None:
        self._stream = stream
        self._between_s = between_s
        self._total = self._done = 0
        self._said_at_s = monotonic()
        self._failures = _Failures()

    def started(self, total: int) -> None:
        """Say how many replicates of cases there are to measure."""
        self._total = total
        self.note(f"{counted(total, 'measurement')} to make")

    def case_started(self, case_id: str, replicate: int) -> None:
        """Say nothing: the line when it ends names it."""

    def finished(self, record: "Record") -> None:
        """Say how far the sweep is when it is time, and always at its end and when a case has no measurement."""
        self._done += 1
        if not record.measured:
            self.note(self._failures.line(record))
        if self._done == self._total or monotonic() - self._said_at_s >= self._between_s:
            self.note(f"{self._done}/{self._total} {record.case}")

    def note(self, message: str) -> None:
        """Write a line at once."""
        self._said_at_s = monotonic()
        self._stream.write(f"{message}\n")
        self._stream.flush()


class _Failures:
    """What went wrong in words; the same end of another process of a case is not told twice in full."""

    def __init__(self) -> None:
        self._told: set[tuple[str, str, str | None]] = set()

    def line(self, record: "Record") -> str:
        end = record.case, record.status, record.reason
        reason = "as before" if end in self._told else record.reason
        self._told.add(end)
        return f"{record.case} #{record.replicate}: {record.status}, {reason}"
