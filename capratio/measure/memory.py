"""The memory of one call: torch's allocator, its CUDA pool, the device and the process, four numbers never mixed."""

import gc
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch.autograd.profiler import profile

from capratio.measure.cuda_device import current_device_uuid
from capratio.measure.resident import resident_peak_bytes
from capratio.measure.telemetry import Telemetry, open_telemetry

_NO_POOL = "torch keeps no pool of CPU memory"
_NOT_A_GPU = "NVML sees GPUs only, and the call ran on the CPU"
_LOG_LEVEL, _SILENT = "KINETO_LOG_LEVEL", "6"
_HOST_ONLY = "the resident set is memory of the host, and the call ran on a GPU"


@dataclass(frozen=True, slots=True)
class CallMemory:
    """Memory of one call in bytes; None where this device has no such number, with the reason by its name.

    allocated_peak_bytes: peak of torch's allocator during the call, minus its start. reserved_peak_bytes: peak of
    torch's CUDA pool. device_used_peak_bytes: what NVML saw in use on the device, by all processes.
    resident_peak_bytes: peak resident set minus the baseline. absent: the reasons.
    """

    allocated_peak_bytes: int | None
    reserved_peak_bytes: int | None
    device_used_peak_bytes: int | None
    resident_peak_bytes: int | None
    absent: dict[str, str] = field(default_factory=dict)


def measure_memory(
    call: Callable[[], object],
    device: str = "cpu",
    baseline_resident_bytes: int | None = None,
    prepare: Callable[[], object] = lambda: None,
) -> CallMemory:
    """Run a call, twice on the CPU, and read the memory that it needs.

    Args: device: ``cpu`` or ``cuda``, where the call runs. baseline_resident_bytes: the resident set that is subtracted
    from the peak, such as ``resident_bytes()`` of this process before the layer was built; without one, the peak of an
    empty call right before is subtracted, so that only the growth during the call is left. prepare: runs before each
    call and is no part of it, such as the release of earlier gradients, which a call would seem to give back.
    """
    if device.startswith("cuda"):
        return _on_cuda(call, prepare)
    return _on_cpu(call, baseline_resident_bytes, prepare)


def _on_cpu(
    call: Callable[[], object], baseline_resident_bytes: int | None, prepare: Callable[[], object]
) -> CallMemory:
    absent = {"reserved_peak_bytes": _NO_POOL, "device_used_peak_bytes": _NOT_A_GPU}
    resident: int | None = None
    try:
        empty = baseline_resident_bytes
        if empty is None:
            empty = resident_peak_bytes(lambda: None)
        prepare()
        # Before the profiler runs: its own records would count as resident memory of the call.
        resident = max(resident_peak_bytes(call) - empty, 0)
    except OSError as error:
        absent["resident_peak_bytes"] = f"this system does not let the peak of the resident set be reset ({error})"
    prepare()
    return CallMemory(allocated_peak_bytes(call), None, None, resident, absent)


def allocated_peak_bytes(call: Callable[[], object]) -> int:
    """The peak of what torch's CPU allocator holds during a call, minus its start, in bytes.

    The profiler reports each allocation and release as a difference; the peak is the largest running sum of these.
    """
    # Old garbage that is released while the call runs would be taken for the call's own releases.
    gc.collect()
    # torch.profiler's own front imports the compiler, which takes longer than the calls of most cases.
    with _silent_profiler(), profile(profile_memory=True) as profiler:
        out = call()
    # What the call returns is held until here, as its caller would.
    del out
    results = profiler.kineto_results
    changes = [
        (event.start_ns(), event.nbytes())
        for event in results.events()
        if event.name() == "[memory]" and event.device_type().name == "CPU"
    ]
    # The sort is stable: changes of one moment stay in the order in which they were reported.
    return peak_of_changes([change for _, change in sorted(changes, key=lambda one: one[0])])


@contextmanager
def _silent_profiler() -> Iterator[None]:
    """Keep the profiler from writing a line to standard error at each start and stop; it asks when it first starts."""
    given = os.environ.get(_LOG_LEVEL)
    os.environ.setdefault(_LOG_LEVEL, _SILENT)
    try:
        yield
    finally:
        if given is None:
            os.environ.pop(_LOG_LEVEL, None)


def peak_of_changes(changes: list[int]) -> int:
    """The largest running sum of differences in bytes, 0 at least."""
    held = peak = 0
    for change in changes:
        held += change
        peak = max(peak, held)
    return peak


def _on_cuda(call: Callable[[], object], prepare: Callable[[], object]) -> CallMemory:
    absent = {"resident_peak_bytes": _HOST_ONLY}
    prepare()
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    start = torch.cuda.memory_allocated()
    out = call()
    torch.cuda.synchronize()
    allocated, reserved = torch.cuda.max_memory_allocated() - start, torch.cuda.max_memory_reserved()
    # The pool keeps what the peak took, so the device still shows it now.
    opened = open_telemetry(current_device_uuid())
    used = opened.read().used_bytes if isinstance(opened, Telemetry) else None
    if not isinstance(opened, Telemetry):
        absent["device_used_peak_bytes"] = opened.reason
    del out
    return CallMemory(allocated, reserved, used, None, absent)
