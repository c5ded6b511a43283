"""What one call holds at its peak: torch's allocator, its CUDA pool, the device, the process; four numbers, never mixed."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile

_CLEAR_REFS = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")
# What Linux takes to reset the peak of the resident set (proc_pid_clear_refs(5)).
_RESET_PEAK = "5"

_NO_POOL = "torch has a pool of memory on CUDA devices only"
_NO_DEVICE = "there is no device memory beside the process's own"
_NO_RESIDENT_PEAK = "this system does not let a process reset the peak of its resident set"
_OTHERS_ON_CUDA = "the resident set of the process does not hold what a CUDA call allocates"


@dataclass(frozen=True, slots=True)
class CallMemory:
    """The peaks of one call over what was held when it began; None where this device has no such number.

    allocated_peak_bytes: torch's allocator. reserved_peak_bytes: torch's CUDA pool. device_used_peak_bytes: used on the
    device by all processes, read at the end of the call. resident_peak_bytes: resident set of the process. absent: why
    a number is None, by its name.
    """

    allocated_peak_bytes: int | None
    reserved_peak_bytes: int | None
    device_used_peak_bytes: int | None
    resident_peak_bytes: int | None
    absent: tuple[tuple[str, str], ...] = ()


def measure_memory(call: Callable[[], object], device: str = "cpu") -> CallMemory:
    """Run a call twice and read its memory: once plainly for the process, once under torch's allocator events.

    The profiler's own memory would be in the resident peak, so that the two are not read from one call.

    Args: device: ``cpu`` or ``cuda``, with an index or without.
    """
    if torch.device(device).type == "cuda":
        return _measure_cuda(call, device)
    resident = _measure_resident(call)
    absent = [("reserved_peak_bytes", _NO_POOL), ("device_used_peak_bytes", _NO_DEVICE)]
    if resident is None:
        absent.append(("resident_peak_bytes", _NO_RESIDENT_PEAK))
    return CallMemory(_measure_allocated(call), None, None, resident, tuple(absent))


def running_peak(deltas: Iterable[int]) -> int:
    """The largest running sum of allocations (over 0) and releases (under 0), never under 0."""
    held = peak = 0
    for delta in deltas:
        held += delta
        peak = max(peak, held)
    return peak


def reset_resident_peak() -> bool:
    """Set the peak of this process's resident set to what it holds now; False where the system does not allow it."""
    try:
        _CLEAR_REFS.write_text(_RESET_PEAK)
    except OSError:
        return False
    return True


def resident_peak_bytes() -> int | None:
    """The peak of this process's resident set since its start or the last reset (VmHWM); None where it is not told."""
    return _status_bytes("VmHWM")


def _measure_allocated(call: Callable[[], object]) -> int:
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        out = call()
    # Released after the profile has ended, so that what the call gives back is held at the end of it.
    del out
    return running_peak(_cpu_deltas(profiler))


def _cpu_deltas(profiler: profile) -> list[int]:
    """Bytes allocated or released on the CPU, in the order of time."""
    result = profiler.profiler.kineto_results if profiler.profiler is not None else None
    if result is None:
        return []
    # Memory events carry the bytes of one allocation or release; those of an operation would be sums of theirs.
    events = [
        (event.start_ns(), int(getattr(event, "nbytes")()))  # noqa: B009 - torch's stub leaves nbytes out
        for event in result.events()
        if event.name() == "[memory]" and event.device_type().name == "CPU"
    ]
    return [bytes_ for _, bytes_ in sorted(events, key=lambda event: event[0])]


def _measure_resident(call: Callable[[], object]) -> int | None:
    if not reset_resident_peak():
        return None
    before = _status_bytes("VmRSS")
    out = call()
    peak = resident_peak_bytes()
    del out
    return None if before is None or peak is None else max(peak - before, 0)


def _measure_cuda(call: Callable[[], object], device: str) -> CallMemory:
    torch.cuda.synchronize(device)
    torch.cuda.reset_peak_memory_stats(device)
    allocated, reserved = torch.cuda.memory_allocated(device), torch.cuda.memory_reserved(device)
    used = _device_used_bytes(device)
    out = call()
    torch.cuda.synchronize(device)
    used = max(_device_used_bytes(device) - used, 0)
    memory = CallMemory(
        torch.cuda.max_memory_allocated(device) - allocated,
        torch.cuda.max_memory_reserved(device) - reserved,
        used,
        None,
        (("resident_peak_bytes", _OTHERS_ON_CUDA),),
    )
    del out
    return memory


def _device_used_bytes(device: str) -> int:
    free, total = torch.cuda.mem_get_info(device)
    return total - free


def _status_bytes(key: str) -> int | None:
    try:
        lines = _STATUS.read_text().splitlines()
    except OSError:
        return None
    # "VmHWM:     2048 kB", where a kB is 1024 bytes.
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{key}:")), None)
