"""The process that measures one job: it reads the job on its input and writes an event a line on its output.

Events are ``{"starts": case id}`` before a case and ``{"record": line}`` after it, so that whoever reads them knows
what was running when the process died.
"""

import json
import os
import resource
import sys
import time
from dataclasses import replace
from typing import TextIO

import torch
from torch import nn

from capratio.errors import CapratioError
from capratio.kernels.compile_clock import COMPILE_CLOCK
from capratio.measure.eviction import CacheEvictor
from capratio.measure.machine import free_memory_bytes, last_level_cache_bytes
from capratio.measure.resident import resident_bytes
from capratio.records.case_id import case_id
from capratio.records.codec import encode
from capratio.records.record import Point
from capratio.sweep.blank_record import blank_record
from capratio.sweep.case import Sampling
from capratio.sweep.code_warmer import CodeWarmer, evict_data
from capratio.sweep.job import Job, decode_job
from capratio.sweep.measure_case import measure_case
from capratio.sweep.parent import die_with_parent
from capratio.sweep.prepare import build_layer, prepare_trial, with_backend
from capratio.sweep.refusal import RefusedError, refuse_beyond
from capratio.sweep.trial import Trial
from capratio.sweep.verify import WrongAnswerError

# torch says this when its CPU allocator gets nothing.
OUT_OF_MEMORY = ("can't allocate memory", "not enough memory", "out of memory")


def main() -> None:
    """Measure the job on standard input."""
    die_with_parent()
    # What a library prints, from C too, must not be taken for an event.
    events = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    sys.stdout = sys.stderr
    run_job(decode_job(sys.stdin.readline()), events)


def run_job(job: Job, events: TextIO) -> None:
    """Build the layer of a job once and measure its cases in order; a failure is a record too.

    After a failure that leaves the device lost to this process, the job's other cases are left to a fresh one.
    """
    on_cpu = job.cases[0].point.device == "cpu"
    if on_cpu:
        # CUDA reserves addresses far beyond the memory that it takes.
        limit_memory()
    torch.set_num_threads(job.cases[0].point.threads)
    baseline_resident_bytes = resident_bytes()
    layer: nn.Module | None = None
    evict: CacheEvictor | None = None
    trials: dict[tuple[str, Sampling], Trial] = {}
    for case in job.cases:
        _say(events, {"starts": case.id})
        record = blank_record(case, job)
        compiled_before_s = COMPILE_CLOCK.seconds
        try:
            if not on_cpu and layer is None:
                refuse_beyond_device(case.point)
            layer = with_backend(layer or build_layer(case.point, job.seed), case.point.backend)
            # Cache states share their verified answers; gradients are as large as the layer, and are not kept.
            shared = (case_id(replace(case.point, cache="warm")), case.sampling)
            trial = trials.get(shared) or prepare_trial(layer, case, job.seed)
            if case.point.pass_ != "train":
                trials[shared] = trial
            cold = None
            if case.point.cache == "cold" and on_cpu:
                evict = evict or CacheEvictor(last_level_cache_bytes())
                cold = evict_data(evict, CodeWarmer(case, trial.order, job.seed))
            done = measure_case(layer, trial, case, cold, job.run_started_s, baseline_resident_bytes)
            check_threads(case.point.threads)
            point = replace(case.point, order=trial.order, backend=trial.backend)
            record = replace(
                record,
                status="measured",
                reason=None,
                point=point,
                exact=done.exact,
                timing=replace(done.timing, compile_s=COMPILE_CLOCK.seconds - compiled_before_s),
                memory=done.memory,
                energy=done.energy,
            )
        except Exception as error:
            status, reason = classify(error)
            record = replace(record, status=status, reason=reason)
        _say(events, {"record": encode(record)})
        if not on_cpu and not record.measured and not device_answers():
            return


def device_answers() -> bool:
    """Whether CUDA still works in this process: an error inside a kernel, as of an index out of range, ends that."""
    try:
        torch.cuda.synchronize()
    except RuntimeError:
        return False
    return True


def classify(error: Exception) -> tuple[str, str]:
    """The status and the one sentence that a failure is recorded with."""
    sentence = " ".join(str(error).split())[:500] or type(error).__name__
    if isinstance(error, WrongAnswerError):
        return "wrong", sentence
    if isinstance(error, RefusedError):
        return "refused", sentence
    if isinstance(error, MemoryError) or any(words in str(error) for words in OUT_OF_MEMORY):
        return "out-of-memory", f"memory ran out: {sentence}"
    if isinstance(error, CapratioError):
        return "failed", sentence
    return "failed", f"{type(error).__name__}: {sentence}"


def check_threads(asked: int) -> None:
    """Raise CapratioError where this process computes on another number of threads than its case asks for.

    A library that starts threads of its own may tell OpenMP their number, which torch then takes over.
    """
    found = torch.get_num_threads()
    if found != asked:
        raise CapratioError(
            f"the case asks for threads = {asked} and torch ran on {found}; something that the layer calls changed "
            "that, which must leave torch's threads alone."
        )


def refuse_beyond_device(point: Point) -> None:
    """Raise RefusedError where a point is too large for the free memory of the CUDA device."""
    free_bytes, _ = torch.cuda.mem_get_info()
    refuse_beyond(point, free_bytes)


def limit_memory() -> None:
    """Let an allocation beyond the free memory fail in this process, before the system kills another one."""
    used = int(open("/proc/self/statm").read().split()[0]) * os.sysconf("SC_PAGE_SIZE")  # noqa: SIM115
    limit = used + free_memory_bytes()
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    if hard == resource.RLIM_INFINITY or limit < hard:
        resource.setrlimit(resource.RLIMIT_AS, (limit, hard))


def _say(events: TextIO, event: dict[str, object]) -> None:
    events.write(json.dumps(event | {"at_s": time.time()}) + "\n")
    events.flush()


if __name__ == "__main__":
    main()
