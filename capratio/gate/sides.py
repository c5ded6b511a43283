"""One side of a comparison, whatever wrote it: the latencies of each case, and what else is compared exactly."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from capratio.errors import InputError

# The kind of a side that a gate built and measured.
GATE = "gate"


@dataclass(frozen=True, slots=True)
class Series:
    """One case on one side.

    latencies_s: seconds, one a process, or one a sample where ``processes`` is False: samples of one process share its
    luck and are no independent witnesses. exact: integers by the name of their quantity. failed: why the case has no
    latency, where it was tried.
    """

    latencies_s: tuple[float, ...]
    processes: bool
    exact: Mapping[str, int] = field(default_factory=dict)
    failed: str | None = None


@dataclass(frozen=True, slots=True)
class Side:
    """What was measured of one commit.

    name: for people. kind: ``gate``, ``run``, ``asv`` or ``pytest-benchmark``. machine: what must be the same on both
    sides. commit: or None. ceilings: what no commit changes (bandwidth and arithmetic rate), by case; empty where the
    file has none.
    """

    name: str
    kind: str
    machine: Mapping[str, object]
    commit: str | None
    series: Mapping[str, Series]
    ceilings: Mapping[str, tuple[float, float]] = field(default_factory=dict)


def check_comparable(base: Side, head: Side) -> None:
    """Raise InputError for sides of two kinds or two machines."""
    if base.kind != head.kind:
        raise InputError(
            f"{base.name} is a {base.kind} file and {head.name} a {head.kind} file; their protocols differ, compare "
            "two of one kind."
        )
    keys = base.machine.keys() | head.machine.keys()
    differing = [key for key in keys if base.machine.get(key) != head.machine.get(key)]
    if differing:
        key = min(differing)
        raise InputError(
            f"{base.name} was measured on another machine than {head.name} ({key}: {base.machine.get(key)} and "
            f"{head.machine.get(key)}); measure both on one, in one job."
        )
