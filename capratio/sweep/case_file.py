"""Case files: TOML with the points to sweep, the answers to expect and the claims to serve."""

import tomllib
from dataclasses import dataclass, fields, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from capratio.errors import InputError
from capratio.names import check_keys
from capratio.sweep.case import Case, Sampling
from capratio.sweep.case_group import DEFAULTS, GROUP_KEYS, claims_of, group_cases, name_of, replicates_of
from capratio.sweep.ranges import text

FILE_KEYS = ("name", "title", "analysis", "replicates", "side_by_side", "sampling", "defaults", "cases")


@dataclass(frozen=True, slots=True)
class Suite:
    """What a case file says to people; a text that it lacks is empty.

    groups: group → its analysis, for each group that has one.
    """

    name: str
    title: str
    analysis: str
    groups: dict[str, str]


def bundled_case_files() -> dict[str, Path]:
    """The case files that come with the package, by name."""
    folder = Path(str(files("capratio") / "benchmark_cases"))
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def read_case_files(paths: list[Path], device: str | None = None) -> list[Case]:
    """The cases of some files in their order; a case that stands in several groups serves the claims of all.

    Args: device: where all of them run, whatever the files say.

    Raises InputError, which names the file and the key, for anything that is not as docs/case_files.md says.
    """
    cases: dict[str, Case] = {}
    for path in paths:
        for case in _cases(path, device):
            known = cases.get(case.id)
            cases[case.id] = known.joined(case) if known else case
    return list(cases.values())


def read_suites(paths: list[Path]) -> list[Suite]:
    """What some files say to people, in their order.

    Raises InputError, which names the file and the key, for a file without tables of cases or a text that is none.
    """
    return [_suite(path, *_tables(path)) for path in paths]


def read_claims(paths: list[Path]) -> list[tuple[str, str]]:
    """(Place, claim) of each claim that a group of some files names; whether there is such a claim is not asked.

    Raises InputError, which names the file and the key, for a file without tables of cases or claims that are no words.
    """
    return [
        (where, claim)
        for path in paths
        for where, group in _tables(path)[1].items()
        for claim in claims_of(group["claims"], where)
    ]


def _tables(path: Path) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """The top level of a file, and its groups by their place, each laid over the defaults."""
    content = _parse(path)
    check_keys(content, FILE_KEYS, f"{path}")
    groups = content.get("cases")
    if not isinstance(groups, list) or not groups:
        raise InputError(f"{path} has no cases; give at least one [[cases]] table.")
    defaults = content.get("defaults", {})
    check_keys(defaults, GROUP_KEYS, f"{path}: [defaults]")
    placed = {f"{path}: cases[{place}]": group for place, group in enumerate(groups, start=1)}
    for where, group in placed.items():
        check_keys(group, GROUP_KEYS, where)
    return content, {where: DEFAULTS | defaults | group for where, group in placed.items()}


def _cases(path: Path, device: str | None) -> list[Case]:
    content, groups = _tables(path)
    suite = _suite(path, content, groups).name
    replicates = replicates_of(content.get("replicates", 7), f"{path}")
    sampling = _sampling(content.get("sampling", {}), f"{path}: [sampling]")
    side_by_side = content.get("side_by_side", False)
    if not isinstance(side_by_side, bool):
        raise InputError(f"{path}: side_by_side is {side_by_side!r}; give true or false without quotes.")
    place_of_all = {} if device is None else {"device": device}
    return [
        replace(case, side_by_side=side_by_side)
        for where, group in groups.items()
        for case in group_cases(group | place_of_all, where, suite, replicates, sampling)
    ]


def _suite(path: Path, content: dict[str, Any], groups: dict[str, dict[str, Any]]) -> Suite:
    name, title, analysis = (
        text(content.get(key, default), f"{path}: {key}")
        for key, default in (("name", path.stem), ("title", ""), ("analysis", ""))
    )
    said: dict[str, list[str]] = {}
    for where, group in groups.items():
        sentence = text(group["analysis"], f"{where}: analysis")
        known = said.setdefault(name_of(group, where), [])
        if sentence and sentence not in known:
            known.append(sentence)
    return Suite(name, title, analysis, {group: " ".join(sentences) for group, sentences in said.items() if sentences})


def _parse(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(
            f"{path} cannot be read ({error.strerror}); give the path or the name of a case file."
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not a TOML file ({error}).") from error


def _sampling(given: dict[str, Any], where: str) -> Sampling:
    check_keys(given, tuple(f.name for f in fields(Sampling)), where)
    try:
        return Sampling(**given)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
