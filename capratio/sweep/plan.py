"""What a sweep will do, before it does it."""

from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from capratio.errors import InputError
from capratio.sweep.case import Case
from capratio.sweep.case_file import read_case_files
from capratio.sweep.estimate import estimated_bytes, estimated_s


@dataclass(frozen=True, slots=True)
class PlannedCase:
    """A case with what it will take: seconds of all its replicates, bytes of the process that measures it."""

    case: Case
    replicates: int
    estimated_s: float
    estimated_bytes: int


def select_cases(case_files: list[Path], only: str | None) -> list[Case]:
    """The cases of some files whose id matches a shell pattern, or all.

    Raises InputError where none matches, and as reading the files does.
    """
    cases = read_case_files(case_files)
    if only is None:
        return cases
    # A bracket in a pattern is taken as it is written where it names cases so, since ids contain brackets.
    selected = [case for case in cases if only == case.id or fnmatchcase(case.id, only)]
    if not selected:
        raise InputError(
            f"no case matches the pattern {only!r}; the {len(cases)} ids, such as {cases[0].id}, are listed by --plan."
        )
    return selected


def plan(case_files: list[Path], only: str | None) -> list[PlannedCase]:
    """The selected cases with their estimates. Raises InputError as ``select_cases``."""
    return [
        PlannedCase(case, case.replicates, case.replicates * estimated_s(case), estimated_bytes(case.point))
        for case in select_cases(case_files, only)
    ]
