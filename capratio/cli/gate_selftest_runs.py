"""The whole runs that a selftest is made of, planned, and measured or gone on with one after the other."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from capratio.errors import NothingMeasuredError

if TYPE_CHECKING:
    from capratio.cli.gate_session import GateSession
    from capratio.gate.selftest import SelftestRun
    from capratio.gate.side_process import SideEnvironment

# Runs without a slowdown between two that have one, so that both see the machine at all hours.
BETWEEN_SLOW = 3


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """A whole run: the folder's name and the slowdown of head, a share."""

    name: str
    slowdown: float


def planned_runs(runs: int, slow_runs: int) -> list[PlannedRun]:
    """All whole runs in the order in which they are made, the slow ones spread among the others."""
    from capratio.gate.selftest import SLOWDOWNS

    slow = [
        PlannedRun(f"slow-{slowdown:.0%}-{place}".replace("%", ""), slowdown)
        for place in range(1, slow_runs + 1)
        for slowdown in SLOWDOWNS
    ]
    planned = []
    for place in range(1, runs + 1):
        planned.append(PlannedRun(f"equal-{place}", 0.0))
        if place % BETWEEN_SLOW == 0 and slow:
            planned.append(slow.pop(0))
    return [*planned, *slow]


def measured_runs(
    session: "GateSession", folder: Path, planned: Sequence[PlannedRun], say: Callable[[str], None]
) -> "dict[str, SelftestRun]":
    """Every planned run by its name, measured into a folder of its own where it was not before.

    Raises BuildError for a commit that does not build, NothingMeasuredError for one of which nothing can be measured.
    """
    from capratio.cli.gate_session import build_sides, work_folder
    from capratio.gate.work_lock import alone_in

    with alone_in(work_folder(session.root)):
        base, head = build_sides(session.root, session.base, session.head)
        return _measured_runs(session, folder, planned, base, head, say)


def _measured_runs(
    session: "GateSession",
    folder: Path,
    planned: Sequence[PlannedRun],
    base: "SideEnvironment",
    head: "SideEnvironment",
    say: Callable[[str], None],
) -> "dict[str, SelftestRun]":
    from capratio.gate.selftest import SelftestRun, slowed_cases

    slowed = slowed_cases([case.id for case in session.cases])
    done: dict[str, SelftestRun] = {}
    for each in planned:
        slow_head = replace(head, slowdowns=dict.fromkeys(slowed, each.slowdown) if each.slowdown else {})
        say(f"{each.name}: {len(done) + 1} of {len(planned)}")
        run = replace(session, folder=folder / each.name).measure(base, slow_head, None)
        if run.broken is not None:
            raise NothingMeasuredError(f"{each.name}: {run.broken}")
        done[each.name] = SelftestRun(run, slow_head.slowdowns)
    return done
