"""The results that asv keeps of one machine, as series over commits: one number a commit, by the commits' dates."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from capratio.errors import InputError
from capratio.gate.asv_side import FORMAT, AsvResult, asv_machine, asv_results, is_number
from capratio.gate.foreign_json import read_foreign_table
from capratio.gate.sides import Side, check_comparable

# Characters of a benchmark's name with its parameters; asv's own names have fewer than 200.
MOST_NAME = 1000
_NOT_RESULTS = ("machine.json", "benchmarks.json")
_COMMIT = re.compile(r"[0-9a-f]{7,64}")
# The last millisecond of the year 9999.
_MOST_DATE_MS = 253_402_300_799_999


@dataclass(frozen=True, slots=True)
class Point:
    """A benchmark at one commit: its number, in asv's unit, and when the commit was made."""

    commit: str
    date: datetime
    value: float


@dataclass(frozen=True, slots=True)
class AsvSeries:
    """A benchmark over the commits that have a number of it, oldest first.

    benchmark: its dotted name. case: with its parameters, and its environment where the machine has several.
    """

    benchmark: str
    case: str
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class _Commit:
    path: Path
    commit: str
    date: datetime
    environment: str
    machine: Mapping[str, object]
    results: tuple[AsvResult, ...]


def read_asv_history(results: Path, machine: str | None = None) -> tuple[AsvSeries, ...]:
    """The series of one machine: of each benchmark the results of its newest version, by environment.

    Commits stand in the order of their dates, those of one date in the order of their hashes. A benchmark that failed
    or was skipped at a commit has no point there; one that has no point at all has no series.

    Args: results: asv's folder of results, or of one machine in it. machine: which, where there are several.

    Raises InputError for a folder that is not there, several machines and no name, a file that is too large or that asv
    did not write, a commit that stands twice, or files of machines that differ.
    """
    folder = machine_folder(results, machine)
    commits = sorted(_commits(folder), key=lambda each: (each.date, each.commit))
    _check_one_machine(commits)
    _check_once(commits)
    environments = {each.environment for each in commits}
    versions: dict[str, object] = {}
    points: dict[str, list[Point]] = {}
    names: dict[str, str] = {}
    for each in reversed(commits):
        for result in each.results:
            value = _number(result)
            if value is None:
                continue
            case = result.case if len(environments) == 1 else f"{result.case} @ {each.environment}"
            if versions.setdefault(case, result.version) == result.version:
                points.setdefault(case, []).append(Point(each.commit, each.date, value))
                names[case] = result.benchmark
    return tuple(AsvSeries(names[case], case, tuple(reversed(found))) for case, found in sorted(points.items()))


def machine_folder(results: Path, machine: str | None) -> Path:
    """The folder of one machine: the one that is named, the only one, or ``results`` itself.

    Raises InputError where there is no such folder, or several and no name.
    """
    if not results.is_dir():
        raise InputError(f"{results} is not there; give asv's folder of results, such as .asv/results.")
    machines = sorted(child.name for child in results.iterdir() if child.is_dir() and any(child.glob("*.json")))
    if machine is not None:
        if machine in machines:
            return results / machine
        if not machines and results.name == machine:
            return results
        raise InputError(
            f"{results} has no results of the machine {machine[:80]!r}; it has {_listed(machines) or 'none'}."
        )
    if len(machines) > 1:
        raise InputError(f"{results} has results of {_listed(machines)}; name one of them with --machine.")
    return results / machines[0] if machines else results


def _listed(machines: list[str]) -> str:
    return ", ".join(machines[:5]) + (" and others" if len(machines) > 5 else "")


def _commits(folder: Path) -> Iterator[_Commit]:
    for path in sorted(folder.glob("*.json")):
        if path.is_file() and path.name not in _NOT_RESULTS:
            yield _commit(path, read_foreign_table(path, "take it away, or measure its commit again"))


def _commit(path: Path, table: Mapping[str, object]) -> _Commit:
    version = table.get("version")
    if version != FORMAT:
        raise InputError(f"{path} is of version {str(version)[:40]!r} of asv's results; version {FORMAT} is read.")
    commit, date_ms, environment = table.get("commit_hash"), table.get("date"), table.get("env_name", "")
    if not isinstance(commit, str) or not _COMMIT.fullmatch(commit):
        raise InputError(f"{path} has commit_hash = {str(commit)[:80]!r}; asv writes a commit's hash there.")
    if not isinstance(date_ms, int) or isinstance(date_ms, bool) or not 0 <= date_ms <= _MOST_DATE_MS:
        raise InputError(f"{path} has date = {str(date_ms)[:80]!r}; asv writes milliseconds since 1970 there.")
    results = tuple(asv_results(path, table))
    if any(len(each.case) > MOST_NAME for each in results) or len(str(environment)) > MOST_NAME:
        raise InputError(f"{path} has a name of more than {MOST_NAME} characters; asv did not write it.")
    return _Commit(
        path, commit, datetime.fromtimestamp(date_ms / 1000, UTC), str(environment), asv_machine(table), results
    )


def _check_one_machine(commits: list[_Commit]) -> None:
    sides = [Side(str(each.path), "asv", each.machine, each.commit, {}) for each in commits]
    for side in sides[1:]:
        check_comparable(sides[0], side)


def _check_once(commits: list[_Commit]) -> None:
    seen: dict[tuple[str, str], Path] = {}
    for each in commits:
        first = seen.setdefault((each.commit, each.environment), each.path)
        if first != each.path:
            raise InputError(f"{first} and {each.path} are of one commit and environment; take one of them away.")


def _number(each: AsvResult) -> float | None:
    """The median of the samples, asv's own number where they were not kept, or None where it has none."""
    if isinstance(each.samples, list) and each.samples and all(map(is_number, each.samples)):
        return float(median(each.samples))
    return float(each.result) if is_number(each.result) else None  # type: ignore[arg-type]
