"""The resident set of this process, as Linux keeps it: now, and its peak since it was last reset."""

import ctypes
from collections.abc import Callable
from pathlib import Path

PROCESS = Path("/proc/self")
# Writing this to clear_refs makes the peak start again from the present size.
_RESET_PEAK = "5"


def resident_bytes(process: Path = PROCESS) -> int:
    """The resident set now, in bytes."""
    return _status_bytes(process, "VmRSS")


def resident_peak_bytes(call: Callable[[], object], process: Path = PROCESS) -> int:
    """The peak of the resident set while a call runs, in bytes.

    Memory that the process keeps free is given back first, so that what the call needs is seen to come.

    Raises OSError where the system does not let the peak be reset.
    """
    give_back_free_memory()
    (process / "clear_refs").write_text(_RESET_PEAK)
    call()
    return _status_bytes(process, "VmHWM")


def give_back_free_memory() -> None:
    """Ask the C library to return free pages to the system; does nothing where it cannot."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _status_bytes(process: Path, name: str) -> int:
    for line in (process / "status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            kibibytes = int(line.split()[1])
            return kibibytes * 1024
    raise OSError(f"{process / 'status'} has no line {name}")
