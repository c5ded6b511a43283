"""A gate's progress for a person: a live table on a terminal, a line now and then elsewhere."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, Protocol, TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from capratio.cli.gate_forest import forest_line
from capratio.cli.progress import SECONDS_BETWEEN_LINES
from capratio.display import short_ids
from capratio.units import counted, seconds

if TYPE_CHECKING:
    from capratio.gate.blocks_run import BlocksRun
    from capratio.gate.decision import Decision

STYLES = {"regressed": "bold red", "improved": "green", "unchanged": "dim", "undecided": "yellow"}


class GateProgress(Protocol):
    """Who shows how a gate goes on; a ``Watcher`` of its run."""

    def began(self, stage: str, block: int, of: int) -> None:
        """A block of a stage begins; of: blocks until the next look."""

    def block_done(self, run: "BlocksRun") -> None:
        """A block was measured."""

    def note(self, message: str) -> None:
        """Something that stays to be read."""


@contextmanager
def gate_progress(stream: TextIO | None = None) -> Iterator[GateProgress]:
    """Shows on ``stream`` (the error stream unless given) while the block runs."""
    stream = stream if stream is not None else sys.stderr
    if not stream.isatty():
        yield LineProgress(stream)
        return
    console = Console(file=stream)
    with Live(console=console, refresh_per_second=4, transient=True) as live:
        yield TableProgress(live)


class TableProgress:
    """A table of all cases that moves with each block; it is gone when the decision is printed."""

    def __init__(self, live: Live) -> None:
        self._live = live
        self._title = ""
        self._pace = Pace()
        self._run: BlocksRun | None = None

    def began(self, stage: str, block: int, of: int) -> None:
        """Name the stage and the block."""
        self._title = f"{stage}: block {block + 1} of {of}{self._pace.left(stage, block, of)}"
        self._show()

    def block_done(self, run: "BlocksRun") -> None:
        """Draw what all blocks so far say."""
        self._run = run
        self._show()

    def note(self, message: str) -> None:
        """Keep a line above the table."""
        self._live.console.print(escape(message), highlight=False)

    def _show(self) -> None:
        table = [_table(self._run)] if self._run is not None and self._run.blocks else []
        self._live.update(Group(Text(self._title), *table))


class Pace:
    """How long the rest of a stage takes at the pace of its blocks so far."""

    def __init__(self) -> None:
        self._stage = ""
        self._began_s = 0.0
        self._first = 0

    def left(self, stage: str, block: int, of: int) -> str:
        """``, about 3 min 20 s left``; nothing before the first block of the stage is done."""
        if stage != self._stage:
            self._stage, self._began_s, self._first = stage, monotonic(), block
        done = block - self._first
        if done < 1:
            return ""
        return f", about {seconds((monotonic() - self._began_s) / done * (of - block))} left"


class LineProgress:
    """Lines of plain text, at most one in some seconds beside those that begin a stage."""

    def __init__(self, stream: TextIO, between_s: float = SECONDS_BETWEEN_LINES) -> None:
        self._stream = stream
        self._between_s = between_s
        self._pace = Pace()
        self._stage = ""
        self._where = ""
        self._said_at_s = monotonic()

    def began(self, stage: str, block: int, of: int) -> None:
        """Name a new stage at once."""
        self._where = f"{stage}: block {block + 1} of {of}{self._pace.left(stage, block, of)}"
        if stage != self._stage:
            self._stage = stage
            self.note(f"{stage}, {counted(of, 'block')}")

    def block_done(self, run: "BlocksRun") -> None:
        """Say how far the run is when it is time."""
        if monotonic() - self._said_at_s < self._between_s or not run.blocks:
            return
        slowest = max(running_decisions(run), key=lambda decision: decision.ratio or 0.0, default=None)
        tail = "" if slowest is None else f"; slowest so far {slowest.case}, head / base {slowest.ratio:.3f}"
        self.note(f"{self._where}{tail}")

    def note(self, message: str) -> None:
        """Write a line at once."""
        self._said_at_s = monotonic()
        self._stream.write(f"{message}\n")
        self._stream.flush()


def running_decisions(run: "BlocksRun") -> "list[Decision]":
    """What the cases show now: the decision of a case that was looked at, else its estimate with its bounds."""
    from capratio.gate.decision import Decision
    from capratio.gate.policy import LATENCY
    from capratio.gate.rank_inference import paired, ratio_of

    shown = []
    for case in run.cases:
        ratios = run.log_ratios(case)
        if case in run.decisions and run.decisions[case].status != "undecided":
            shown.append(run.decisions[case])
        elif ratios:
            inference = paired(ratios)
            low, high = inference.low(run.policy.alpha), inference.high(run.policy.alpha)
            budget = run.policy.budget(case, LATENCY)
            shown.append(
                Decision(case, "undecided", budget, ratio_of(inference.estimate), ratio_of(low), ratio_of(high))
            )
    return shown


def _table(run: "BlocksRun") -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("", "head / base", "slower to the right", "case"):
        table.add_column(heading, no_wrap=True)
    decisions = running_decisions(run)
    names, _ = short_ids([decision.case for decision in decisions])
    for decision, name in zip(decisions, names, strict=True):
        status = "..." if decision.status == "undecided" else decision.status
        style = STYLES[decision.status]
        ratio = "" if decision.ratio is None else f"{decision.ratio:.3f}"
        table.add_row(Text(status, style=style), ratio, forest_line(decision), escape(name))
    return table
