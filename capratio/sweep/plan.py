"""What a sweep will do, before it does it."""

from dataclasses import dataclass
from pathlib import Path

from capratio.measure.free_memory import free_memory_bytes
from capratio.names import those_that_fit
from capratio.sweep.case import Case
from capratio.sweep.case_file import read_case_files
from capratio.sweep.estimate import estimated_bytes, estimated_s
from capratio.sweep.job import plan_jobs
from capratio.sweep.refusal import refusal


@dataclass(frozen=True, slots=True)
class PlannedCase:
    """A case with the bytes of the process that measures it, and whether this machine has them free now."""

    case: Case
    replicates: int
    estimated_bytes: int
    fits: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """Cases, how many processes measure them, and about how many seconds that takes."""

    cases: tuple[PlannedCase, ...]
    processes: int
    estimated_s: float


def select_cases(case_files: list[Path], only: str | None, device: str | None = None) -> list[Case]:
    """The cases of some files whose id matches a shell pattern, or all; ``device`` as ``read_case_files``.

    Raises InputError where none matches, and as reading the files does.
    """
    return those_that_fit(only, read_case_files(case_files, device))


def plan(case_files: list[Path], only: str | None, device: str | None = None) -> Plan:
    """What the selected cases take. Args and raises: as ``select_cases``."""
    cases, free_bytes = select_cases(case_files, only, device), free_memory_bytes()
    planned = tuple(
        PlannedCase(
            case,
            case.replicates,
            estimated_bytes(case.point),
            # Only the process that runs it sees a device's memory.
            case.point.device != "cpu" or refusal(case.point, free_bytes) is None,
        )
        for case in cases
    )
    jobs = plan_jobs([each.case for each in planned if each.fits], frozenset(), 0.0, None)
    return Plan(planned, len(jobs), estimated_s(jobs))
