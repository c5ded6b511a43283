"""Where the time of a call goes: torch's profiler over some warmed-up calls, folded to one row an operation."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TypeVar

import torch
from torch.profiler import ProfilerActivity, record_function

from capratio.cost.operation import OperationCost
from capratio.errors import InputError
from capratio.measure.flop_counter import CountedOperation, count_operations
from capratio.measure.latency import garbage_collector_off
from capratio.measure.profile_events import Key, OperationTime, call_spans, operation_times

Argument = TypeVar("Argument")
Output = TypeVar("Output")

# Names of the records in the trace.
CALL, FIRST_CALL, UNTIMED = "capratio: call", "capratio: first call, not read", "capratio: untimed"
WARMUP_CALLS = 5


@dataclass(frozen=True, slots=True)
class ProfileRow:
    """One operation of a call; times are medians over the profiled calls, in seconds.

    name: as the profiler shows it, ``autograd`` for the engine of gradients. within: the operation inside of which it
    ran, None for one that the call itself ran. calls: in one call. self_s: without operations that have rows of their
    own; of the host on the CPU, of its kernels on CUDA. total_s: with what ran inside of it. cost: of ``calls``, None
    without a rule or formula.
    """

    name: str
    within: str | None
    calls: int
    self_s: float
    total_s: float
    cost: OperationCost | None


@dataclass(frozen=True, slots=True)
class Profile:
    """The rows of a call, longest self time first.

    outside_s: seconds of a call in which no operation ran: Python, and on CUDA whatever left the device idle.
    profiled_calls: how many the medians are over.
    """

    rows: tuple[ProfileRow, ...]
    outside_s: float
    profiled_calls: int

    @property
    def wall_s(self) -> float:
        """The typical call under the profiler: the sum of its parts, of which every share is taken."""
        return sum(row.self_s for row in self.rows) + self.outside_s


def profile_call(
    call: Callable[[Argument], Output],
    *,
    prepare: Callable[[int], Argument],
    check: Callable[[int, Output], None],
    trace: Path,
    device: str = "cpu",
    calls: int = 10,
    evict: Callable[[], None] | None = None,
) -> Profile:
    """Profile a call after a warm-up, and write the trace that Perfetto opens.

    Around a call stands what stands around a sample of ``measure_latency``: ``prepare(i)``, ``evict()``, ``check(i,
    out)``; the trace has it and the rows do not. Costs are counted on ``prepare(0)``.

    Args: device: ``cpu`` or ``cuda``. calls: to be read, 1 or more.

    Raises InputError for fewer; what ``check`` raises.
    """
    if calls < 1:
        raise InputError(f"calls={calls} was given; at least 1 is expected.")

    def step(index: int, name: str) -> None:
        with record_function(UNTIMED):
            argument = prepare(index)
            if evict is not None:
                evict()
            _wait(device)
        with record_function(name):
            out = call(argument)
            _wait(device)
        with record_function(UNTIMED):
            check(index, out)

    argument = prepare(0)
    counted = {
        (one.within, one.name): one
        for one in count_operations(lambda: call(argument), strict=False, inside=True).operations
    }
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if device == "cuda" else [])]
    with garbage_collector_off():
        for index in range(WARMUP_CALLS):
            step(index, FIRST_CALL)
        # torch 2.11 warns without it that events of former cycles are gone; there is one cycle.
        with torch.profiler.profile(activities=activities, acc_events=True) as profiler:
            # The profiler sets itself up during the first call.
            step(WARMUP_CALLS, FIRST_CALL)
            for index in range(calls):
                step(WARMUP_CALLS + 1 + index, CALL)
    profiler.export_chrome_trace(str(trace))
    spans = call_spans(profiler.events() or (), CALL)
    timed = [(wall_s, operation_times(outermost, frozenset(counted), device)) for wall_s, outermost in spans]
    return _profile(timed, counted)


def _profile(timed: list[tuple[float, dict[Key, OperationTime]]], counted: dict[Key, CountedOperation]) -> Profile:
    keys = dict.fromkeys(key for _, times in timed for key in times)
    rows = [_row(key, [times.get(key, OperationTime()) for _, times in timed], counted.get(key)) for key in keys]
    # What only shows another operation's kernels has no time on the device and no cost.
    shown = [row for row in rows if row.self_s > 0 or row.cost is not None]
    outside_s = median(max(wall_s - sum(time.self_s for time in times.values()), 0.0) for wall_s, times in timed)
    return Profile(tuple(sorted(shown, key=lambda row: -row.self_s)), outside_s, len(timed))


def _row(key: Key, times: list[OperationTime], counted: CountedOperation | None) -> ProfileRow:
    within, name = key
    calls = int(median(time.calls for time in times))
    # Other calls than the counted ones, as where another input chose another way, have another cost.
    cost = counted.cost if counted is not None and counted.calls == calls else None
    self_s, total_s = (median(getattr(time, part) for time in times) for part in ("self_s", "total_s"))
    return ProfileRow(name, within, calls, self_s, total_s, cost)


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()
