"""A sweep: what is missing is measured process by process, and each record is on the disk before the next begins."""

import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from capratio.errors import InputError
from capratio.measure.cuda_device import require_cuda
from capratio.measure.machine import describe_machine, free_memory_bytes, machine_identity
from capratio.records.codec import decode
from capratio.records.record import Record
from capratio.records.store import MACHINE, RecordWriter, read_run, write_machine
from capratio.sweep.blank_record import blank_record
from capratio.sweep.case import Case
from capratio.sweep.ceilings import RunCeilings, with_limit
from capratio.sweep.identity import PACKAGE, check_same_identity, run_identity
from capratio.sweep.job import Job, plan_jobs
from capratio.sweep.observer import Observer
from capratio.sweep.plan import select_cases
from capratio.sweep.process import Death, run_process
from capratio.sweep.refusal import refusal


@dataclass(frozen=True, slots=True)
class SweepOutcome:
    """What a sweep did: replicates measured now, those found done, (case, replicate, status, reason) of failures."""

    measured: int
    skipped: int
    failed: list[tuple[str, int, str, str]]


def run_sweep(
    case_files: list[Path], out: Path, only: str | None, observer: Observer, device: str | None = None
) -> SweepOutcome:
    """Measure the cases of some files into a run, or what an interrupted run still lacks.

    Args: device: where all cases run, whatever the files say.

    Raises InputError for bad case files, a pattern without a match, a case for CUDA where torch finds none, a folder
    that cannot be written, or one that was measured with other content or on another machine.
    """
    cases = select_cases(case_files, only, device)
    if any(case.point.device == "cuda" for case in cases):
        require_cuda()
    done, started_s, commit = _open_run(case_files, cases, out)
    with RecordWriter(out) as writer:
        if writer.repaired:
            observer.note("the last record was cut off while it was written; it is measured again.")
        jobs = plan_jobs(cases, done, started_s, commit)
        total = sum(len(job.cases) for job in jobs)
        observer.started(total)
        ceilings = RunCeilings(out, tuple(sorted({case.point.dtype for case in cases})), started_s)
        failed: list[tuple[str, int, str, str]] = []
        for job in jobs:
            for record in _measure(job, observer):
                final = with_limit(record, ceilings) if record.measured else record
                writer.write(final)
                observer.finished(final)
                if not final.measured:
                    failed.append((final.case, final.replicate, final.status, final.reason or ""))
    wanted = sum(case.replicates for case in cases)
    return SweepOutcome(total - len(failed), wanted - total, failed)


def _open_run(
    case_files: list[Path], cases: list[Case], out: Path
) -> tuple[frozenset[tuple[str, int]], float, str | None]:
    identity = run_identity(case_files, cases, machine_identity())
    if (out / MACHINE).exists():
        run = read_run(out)
        check_same_identity(run.machine.get("identity"), identity, out)
        done = frozenset((record.case, record.replicate) for record in run.records)
        return done, float(run.machine["started_s"]), run.machine.get("commit")
    if out.is_dir() and any(out.iterdir()):
        raise InputError(f"{out} is not empty and holds no run; give an empty or new folder as --out.")
    machine = describe_machine(PACKAGE.parent)
    started_s = time.time()
    commit = machine.get("commit")
    write_machine(out, machine | {"identity": identity, "started_s": started_s})
    return frozenset(), started_s, commit if isinstance(commit, str) else None


def _measure(job: Job, observer: Observer) -> Iterator[Record]:
    """The records of a job; a case whose process dies is recorded so, and a fresh process goes on with the rest."""
    affordable = []
    for case in job.cases:
        refused = _refusal(case, job)
        if refused is None:
            affordable.append(case)
        else:
            yield refused
    while affordable:
        finished = yield from _run_cases(replace(job, cases=tuple(affordable)), observer)
        affordable = affordable[finished:]


def _run_cases(job: Job, observer: Observer) -> Generator[Record, None, int]:
    """Run one process and give its records; returns how many cases are done with."""
    done = 0
    threads = job.cases[0].point.threads
    limit_s = max(case.sampling.case_time_limit_s for case in job.cases)
    for event in run_process("capratio.sweep.worker", job.encode(), threads, limit_s):
        if isinstance(event, Death):
            yield replace(blank_record(job.cases[done], job), status=event.status, reason=event.reason)
            return done + 1
        if "starts" in event:
            observer.case_started(event["starts"], job.replicate)
        else:
            yield decode(event["record"])
            done += 1
    return done


def _refusal(case: Case, job: Job) -> Record | None:
    if case.point.device != "cpu":
        # Only the process that runs it sees the device's memory.
        return None
    reason = refusal(case.point, free_memory_bytes())
    return None if reason is None else replace(blank_record(case, job), status="refused", reason=reason)
