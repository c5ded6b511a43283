"""A sweep: what is missing is measured process by process, and each record is on the disk before the next begins."""

import time
from collections.abc import Generator, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from capratio.errors import InputError
from capratio.measure.cuda_device import require_cuda
from capratio.measure.machine import describe_machine, free_memory_bytes, machine_identity
from capratio.measure.source_state import checkout_of
from capratio.records.codec import decode
from capratio.records.record import Record
from capratio.records.store import MACHINE, RecordWriter, read_run, write_machine, write_plan
from capratio.sweep.blank_record import blank_record
from capratio.sweep.case import Case, is_user_layer
from capratio.sweep.case_file import read_suites
from capratio.sweep.ceilings import RunCeilings, above_roof, checked_again, with_limit
from capratio.sweep.identity import PACKAGE, run_identity, same_identity
from capratio.sweep.job import Job, plan_jobs
from capratio.sweep.observer import Observer
from capratio.sweep.plan import select_cases
from capratio.sweep.process import run_process
from capratio.sweep.refusal import refusal
from capratio.sweep.user_sources import check_found
from capratio.watched_process import Death

# Case, replicate, status and reason of a measurement that was not made.
Ending = tuple[str, int, str, str]


@dataclass(frozen=True, slots=True)
class SweepOutcome:
    """What a sweep did: replicates measured now, those measured before, and those that failed now and before."""

    measured: int
    skipped: int
    failed: list[Ending]
    failed_before: list[Ending]


def run_sweep(
    case_files: list[Path], out: Path, only: str | None, observer: Observer, device: str | None = None
) -> SweepOutcome:
    """Measure the cases of some files into a run, or what an interrupted run still lacks.

    Args: device: where all cases run, whatever the files say.

    Raises InputError for bad case files, a pattern without a match, a case for CUDA where torch finds none, a user's
    layer that is nowhere to be found, a folder that cannot be written, or one that was measured with other content or
    on another machine.
    """
    cases = select_cases(case_files, only, device)
    if any(case.point.device == "cuda" for case in cases):
        require_cuda()
    check_found(sorted({case.point.layer for case in cases if is_user_layer(case.point.layer)}))
    run = _open_run(case_files, cases, out)
    with RecordWriter(out) as writer:
        if writer.repaired:
            observer.note("the last record was cut off while it was written; it is measured again.")
        jobs = plan_jobs(cases, run.done, run.started_s, run.commit, run.next_block)
        total = sum(len(job.cases) for job in jobs)
        observer.started(total)
        ceilings = RunCeilings(out, tuple(sorted({case.point.dtype for case in cases})), run.started_s)
        failed: list[Ending] = []
        for job in jobs:
            for record in _limited(job, ceilings, observer):
                writer.write(record)
                observer.finished(record)
                if not record.measured:
                    failed.append(_ending(record))
    wanted = {(case.id, replicate) for case in cases for replicate in range(case.replicates)}
    failed_before = [ending for ending in run.failed if ending[:2] in wanted]
    return SweepOutcome(total - len(failed), len(wanted) - total - len(failed_before), failed, failed_before)


@dataclass(frozen=True, slots=True)
class _OpenRun:
    """Where a run stands: what needs no measurement, when it began (Unix time), and what ended without one."""

    done: frozenset[tuple[str, int]]
    started_s: float
    commit: str | None
    failed: list[Ending]
    next_block: int = 0


def _open_run(case_files: list[Path], cases: list[Case], out: Path) -> _OpenRun:
    identity = run_identity(case_files, cases, machine_identity())
    if (out / MACHINE).exists():
        run = read_run(out)
        widened = same_identity(run.machine.get("identity"), identity, out)
        if widened != run.machine["identity"]:
            write_machine(out, run.machine | {"identity": widened})
        done = frozenset((record.case, record.replicate) for record in run.records)
        failed = [_ending(record) for record in run.records if not record.measured]
        next_block = 1 + max((record.block for record in run.records), default=-1)
        opened = _OpenRun(done, float(run.machine["started_s"]), run.machine.get("commit"), failed, next_block)
    else:
        if out.is_dir() and any(out.iterdir()):
            raise InputError(f"{out} is not empty and holds no run; give an empty or new folder as --out.")
        machine = describe_machine(checkout_of(PACKAGE, (PACKAGE.parent, Path.cwd(), *Path.cwd().parents)))
        started_s = time.time()
        suites = [asdict(suite) for suite in read_suites(case_files)]
        write_machine(out, machine | {"identity": identity, "started_s": started_s, "suites": suites})
        commit = machine.get("commit")
        opened = _OpenRun(frozenset(), started_s, commit if isinstance(commit, str) else None, [])
    write_plan(out, {case.id: case.replicates for case in cases})
    return opened


def _ending(record: Record) -> Ending:
    return record.case, record.replicate, record.status, record.reason or ""


def _limited(job: Job, ceilings: RunCeilings, observer: Observer) -> Iterator[Record]:
    """The records of a job with their limits; those above their roof come last, when its process has ended."""
    doubtful = []
    for record in _measure(job, ceilings, observer):
        limited = with_limit(record, ceilings) if record.measured else record
        if above_roof(limited):
            doubtful.append(limited)
        else:
            yield limited
    for record in doubtful:
        yield checked_again(record, ceilings)


def _measure(job: Job, ceilings: RunCeilings, observer: Observer) -> Iterator[Record]:
    """The records of a job; a case whose process dies is recorded so, and a fresh process goes on with the rest."""
    affordable = []
    for case in job.cases:
        refused = _refusal(case, job)
        if refused is None:
            affordable.append(case)
        else:
            yield refused
    while affordable:
        ceilings.refresh(affordable[0].point.device, affordable[0].point.threads)
        finished = yield from _run_cases(replace(job, cases=tuple(affordable)), observer)
        affordable = affordable[finished:]


def _run_cases(job: Job, observer: Observer) -> Generator[Record, None, int]:
    """Run one process and give its records; returns how many cases are done with.

    What ends badly or not at all after a record and before the next case, as by an exit handler or where its GPU is
    lost to it, has lost no measurement.
    """
    done, begun = 0, False
    threads = job.cases[0].point.threads
    limit_s = max(case.sampling.case_time_limit_s for case in job.cases)
    for event in run_process("capratio.sweep.worker", job.encode(), threads, limit_s):
        if isinstance(event, Death):
            if done and not begun:
                return done
            yield replace(blank_record(job.cases[done], job), status=event.status, reason=event.reason)
            return done + 1
        if "starts" in event:
            begun = True
            observer.case_started(event["starts"], job.replicate)
        else:
            yield decode(event["record"])
            done, begun = done + 1, False
    if begun or not done:
        # As a layer that calls os._exit(0) leaves it: without this case's record a fresh process would meet it again.
        reason = "the process ended by itself, with exit code 0, before the case was measured."
        yield replace(blank_record(job.cases[done], job), status="crashed", reason=reason)
        return done + 1
    return done


def _refusal(case: Case, job: Job) -> Record | None:
    if case.point.device != "cpu":
        # Only the process that runs it sees the device's memory.
        return None
    reason = refusal(case.point, free_memory_bytes())
    return None if reason is None else replace(blank_record(case, job), status="refused", reason=reason)
