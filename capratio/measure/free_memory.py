"""How much memory a process may still take: what the system has, under the limit of its control group."""

from pathlib import Path

import psutil

CGROUP = Path("/sys/fs/cgroup")


def free_memory_bytes(cgroup: Path = CGROUP) -> int:
    """Memory that can be taken without swapping, in bytes: the smaller of the system's and the control group's.

    Args: cgroup: the folder of this process's control group, as a container sees it (version 2; without one the
    system's number holds).
    """
    free = int(psutil.virtual_memory().available)
    left = _left_in_group(cgroup)
    return free if left is None else min(free, left)


def _left_in_group(cgroup: Path) -> int | None:
    try:
        limit = (cgroup / "memory.max").read_text().strip()
        used = int((cgroup / "memory.current").read_text())
        held = dict(line.split() for line in (cgroup / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):
        return None
    if limit == "max":
        return None
    # Pages of files that nobody uses now are dropped before a process is refused.
    return max(int(limit) - used + int(held.get("inactive_file", 0)), 0)
