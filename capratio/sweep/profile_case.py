"""One case profiled: built and verified as the sweep does, each operation held against the machine."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from capratio.cost.roofline import Ceilings, RooflineLimit, limit
from capratio.errors import NothingMeasuredError
from capratio.linux import require_linux
from capratio.measure.ceilings import measure_ceilings
from capratio.measure.cuda_device import l2_bytes, require_cuda
from capratio.measure.eviction import CacheEvictor
from capratio.measure.machine import free_memory_bytes, last_level_cache_bytes
from capratio.measure.profile import Profile, ProfileRow, profile_call
from capratio.records.record import Exact
from capratio.sweep.case import Case
from capratio.sweep.code_warmer import CodeWarmer, evict_data
from capratio.sweep.measure_case import count_exactly, sample_policy
from capratio.sweep.prepare import build_layer, prepare_trial
from capratio.sweep.refusal import RefusedError, refuse_beyond
from capratio.sweep.timing import time_call
from capratio.sweep.trial import Trial
from capratio.sweep.verify import WrongAnswerError
from capratio.sweep.worker import OUT_OF_MEMORY, classify

TRACE = "trace.json"
# As the first replicate of a sweep.
SEED = 1000
# A sweep takes 5 s; two rounds, which are always made, fit in this.
CEILINGS_TIME_BUDGET_S = 2.0


@dataclass(frozen=True, slots=True)
class CaseProfile:
    """A case with where its time goes.

    latency_s: median without the profiler, as the sweep times it. limits: one a row of the profile, for its total time;
    None without FLOP and bytes. limit: of the layer, None where it has nothing to do.
    """

    case: Case
    profile: Profile
    limits: tuple[RooflineLimit | None, ...]
    latency_s: float
    limit: RooflineLimit | None
    ceilings: Ceilings


def profile_case(
    case: Case, out: Path, calls: int = 10, measure: Callable[..., Ceilings] = measure_ceilings
) -> CaseProfile:
    """Profile a case in this process and write its trace into ``out``, which is made.

    Args: calls: profiled ones, 1 or more. measure: gives the ceilings, as ``measure_ceilings``.

    Raises InputError for a device that is not there, NothingMeasuredError for a case that is too large for the memory
    that is free or whose answer is wrong.
    """
    require_linux()
    point = case.point
    if point.device == "cuda":
        require_cuda()
    out.mkdir(parents=True, exist_ok=True)
    with _one_sentence(case):
        on_cpu = point.device == "cpu"
        refuse_beyond(point, free_memory_bytes() if on_cpu else int(torch.cuda.mem_get_info()[0]))
        torch.set_num_threads(point.threads)
        ceilings = measure(point.threads, (point.dtype,), CEILINGS_TIME_BUDGET_S, 0.0, point.device)
        layer = build_layer(point, SEED)
        trial = prepare_trial(layer, case, SEED)
        exact = count_exactly(layer, trial, case)
        evict = _evict(case, trial)
        timing = time_call(
            trial.call,
            trial.prepare,
            trial.check,
            sample_policy(case.sampling),
            0.0,
            device=point.device,
            cold=point.cache == "cold",
            evict=evict if point.device == "cpu" else None,
        )
        profile = profile_call(
            trial.call,
            prepare=trial.prepare,
            check=trial.check,
            trace=out / TRACE,
            device=point.device,
            calls=calls,
            evict=evict,
        )
    limits = tuple(_row_limit(row, ceilings, point.dtype) for row in profile.rows)
    return CaseProfile(case, profile, limits, timing.latency_s, layer_limit(exact, case, ceilings), ceilings)


def _evict(case: Case, trial: Trial) -> Callable[[], None] | None:
    if case.point.cache == "warm":
        return None
    if case.point.device == "cpu":
        return evict_data(CacheEvictor(last_level_cache_bytes()), CodeWarmer(case, trial.order, SEED))
    flushed = torch.empty(l2_bytes(), dtype=torch.int8, device="cuda")

    def flush() -> None:
        flushed.zero_()

    return flush


def _row_limit(row: ProfileRow, ceilings: Ceilings, dtype: str) -> RooflineLimit | None:
    if row.cost is None:
        return None
    flop, moved = row.cost.flop.total, row.cost.read_bytes + row.cost.written_bytes
    if not flop and not moved:
        return None
    # Warm also in a cold case: what most operations read, the one before has just written. Each call has a footprint of
    # its own.
    one = limit(ceilings, flop // row.calls, moved // row.calls, "warm", dtype)
    return one._replace(limit_s=row.calls * one.limit_s)


def layer_limit(exact: Exact, case: Case, ceilings: Ceilings) -> RooflineLimit | None:
    """The roofline of a whole call, None for one that has nothing to read or compute."""
    flop = sum(exact.flop.values())
    if exact.compulsory_bytes is None or not (flop or exact.compulsory_bytes):
        return None
    return limit(ceilings, flop, exact.compulsory_bytes, case.point.cache, case.point.dtype)


@contextmanager
def _one_sentence(case: Case) -> Iterator[None]:
    """Turn what a sweep would record instead of a measurement into one sentence."""
    try:
        yield
    except (WrongAnswerError, RefusedError, MemoryError, RuntimeError) as error:
        out_of_memory = isinstance(error, MemoryError) or any(words in str(error) for words in OUT_OF_MEMORY)
        if isinstance(error, WrongAnswerError | RefusedError) or out_of_memory:
            status, reason = classify(error)
            raise NothingMeasuredError(f"{case.id} is {status}: {reason}") from error
        raise
