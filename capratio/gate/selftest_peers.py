"""What other gates do on the same machine (``benchmarks/gate_peers.py`` measures it), beside a selftest."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from capratio.errors import InputError
from capratio.gate.selftest import Selftest, WholeRun
from capratio.gate.selftest_table import NOTHING, percent
from capratio.records.strict_json import parse_object
from capratio.units import seconds

HEADINGS = (
    "gate",
    "slowed by",
    "runs",
    "runs that failed",
    "slower cases found",
    "equal cases called slower",
    "called faster",
    "a run",
    "of it measuring",
)
# Its name in a report.
PEERS = "peers.json"
OURS = "capratio gate"
# asv asks its test only where so many samples could pass it.
INTERVALS = "; with so few it compares intervals instead"
NAMES = {"asv": "asv continuous", "pytest": "pytest-benchmark"}


@dataclass(frozen=True, slots=True)
class PeerRuns:
    """Whole runs of one gate at one slowdown.

    slowdown: a share. failed: runs that left with an error. slower, faster: comparisons called so. took_s: the median
    run; measuring_s: the part of it in which benchmarks ran, where the tool tells.
    """

    tool: str
    slowdown: float
    runs: int
    failed: int
    comparisons: int
    slower: int
    faster: int
    took_s: float
    measuring_s: float | None


@dataclass(frozen=True, slots=True)
class Doubled:
    """What asv says of twice the time in so many processes a side; p: the least that its test can give; bar: asv's."""

    processes: int
    called: str
    p: float
    bar: float


@dataclass(frozen=True, slots=True)
class Peers:
    """What was measured of other gates. text: the file. machine: its identity. versions: of their packages."""

    text: str
    commit: str
    machine: Mapping[str, Any]
    versions: Mapping[str, str]
    runs: tuple[PeerRuns, ...]
    doubled: tuple[Doubled, ...]

    def check_machine(self, machine: Mapping[str, Any]) -> None:
        """See that they were measured on the machine of the selftest.

        Raises InputError where they were not.
        """
        differing = sorted(name for name, value in self.machine.items() if machine.get(name) != value)
        if differing:
            raise InputError(
                f"the peers were measured on another machine ({', '.join(differing)} differ); measure them on this one."
            )

    def sentences(self) -> list[str]:
        """What the table has no room for."""
        versions = ", ".join(f"{name} {version}" for name, version in self.versions.items())
        return [f"Measured with {versions}, at commit {self.commit[:12]}."] + [
            f"Asked about twice the time, {each.processes} processes against {each.processes}, asv continuous calls it "
            f"{each.called} (the p-value of its test is {each.p:.5f}, its bar {each.bar:g}"
            f"{INTERVALS if each.p > each.bar and each.called == 'slower' else ''})."
            for each in self.doubled
        ]


def find_peers(path: Path | None, folder: Path | None) -> Peers | None:
    """The peers of a file, or else those that a report in a folder was made with; None where there are none.

    Raises InputError as ``read_peers``.
    """
    if path is None and folder is not None and (folder / PEERS).is_file():
        path = folder / PEERS
    return None if path is None else read_peers(path)


def read_peers(path: Path) -> Peers:
    """What ``benchmarks/gate_peers.py`` left in a file.

    Raises InputError for a file that cannot be read, or that is another.
    """
    try:
        text = path.read_text(encoding="utf-8")
        found: Any = parse_object(text)
        common = found["of"]
        return Peers(
            text,
            _text(common["commit"]),
            dict(common["machine"]),
            {_text(name): _text(version) for name, version in common["versions"].items()},
            _grouped(found["runs"]),
            tuple(
                Doubled(
                    int(each["processes"]), _text(each["called"]), float(each["mann_whitney_p"]), float(each["bar"])
                )
                for each in found["doubled"]
            ),
        )
    except (OSError, UnicodeDecodeError, InputError) as error:
        raise InputError(f"the peers' file {path} cannot be read ({error}); measure it again.") from None
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        kind = f"{type(error).__name__}: {error}"
        raise InputError(f"{path} is not what benchmarks/gate_peers.py writes ({kind}); give its --out.") from None


def beside(result: Selftest, peers: Peers) -> list[list[str]]:
    """Our gate's whole runs and those of the others, one row a gate and slowdown, under ``HEADINGS``."""
    slowdowns = sorted({run.slowdown for run in result.runs if run.void is None})
    ours = [_our_cells([r for r in result.runs if r.slowdown == s and r.void is None]) for s in slowdowns]
    return [*ours, *map(_peer_cells, peers.runs)]


def _grouped(runs: Sequence[Mapping[str, Any]]) -> tuple[PeerRuns, ...]:
    groups: dict[tuple[str, int], list[Mapping[str, Any]]] = {}
    for run in runs:
        groups.setdefault((_text(run["tool"]), int(run["percent"])), []).append(run)
    return tuple(_peer_runs(tool, share, groups[tool, share]) for tool, share in sorted(groups))


def _peer_runs(tool: str, share: int, runs: Sequence[Mapping[str, Any]]) -> PeerRuns:
    called = [_text(comparison["called"]) for run in runs for comparison in run["compared"]]
    measuring_s = [float(run["measuring_s"]) for run in runs if "measuring_s" in run]
    return PeerRuns(
        tool,
        share / 100,
        len(runs),
        sum(int(run["exit_code"]) != 0 for run in runs),
        len(called),
        called.count("slower"),
        called.count("faster"),
        median(float(run["seconds"]) for run in runs),
        median(measuring_s) if measuring_s else None,
    )


def _our_cells(runs: Sequence[WholeRun]) -> list[str]:
    slowed, equal = sum(run.slowed for run in runs), sum(run.cases - run.slowed for run in runs)
    took = seconds(median(run.took_s for run in runs))
    return [
        OURS,
        _slowed_by(runs[0].slowdown),
        str(len(runs)),
        str(sum(bool(run.found + run.false) for run in runs)),
        _of(sum(run.found for run in runs), slowed),
        _of(sum(run.false for run in runs), equal),
        str(sum(run.improved for run in runs)),
        NOTHING,
        took,
    ]


def _peer_cells(runs: PeerRuns) -> list[str]:
    slowed, equal = (runs.comparisons, 0) if runs.slowdown else (0, runs.comparisons)
    return [
        NAMES.get(runs.tool, runs.tool),
        _slowed_by(runs.slowdown),
        str(runs.runs),
        str(runs.failed),
        _of(runs.slower, slowed),
        _of(runs.slower, equal),
        str(runs.faster),
        seconds(runs.took_s),
        NOTHING if runs.measuring_s is None else seconds(runs.measuring_s),
    ]


def _slowed_by(slowdown: float) -> str:
    return percent(slowdown) if slowdown else "nothing"


def _of(count: int, tries: int) -> str:
    return f"{count} of {tries}" if tries else NOTHING


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value
