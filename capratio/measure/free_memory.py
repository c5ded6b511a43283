"""How much memory a process may still take, under the limit of its control group, and whether a host takes it back."""

from pathlib import Path

import psutil

CGROUP = Path("/sys/fs/cgroup")
VIRTIO = Path("/sys/bus/virtio/devices")
# The device by which a host takes memory from a virtual machine, and its feature by which free pages are told to it
# (virtio 1.2, section 5.5).
_BALLOON, _REPORTING = 5, 5


def free_memory_bytes(cgroup: Path = CGROUP) -> int:
    """Memory that can be taken without swapping, in bytes: the smaller of the system's and the control group's.

    Args: cgroup: the folder of this process's control group, as a container sees it (version 2; without one the
    system's number holds).
    """
    free = int(psutil.virtual_memory().available)
    left = _left_in_group(cgroup)
    return free if left is None else min(free, left)


def host_takes_free_pages(virtio: Path = VIRTIO) -> bool:
    """Whether a virtual machine tells its free memory to the host, which takes it back until it is touched again.

    Args: virtio: the folder of the virtual machine's devices, each with the files ``device`` and ``features``.
    """
    return any(_reports_pages(device) for device in virtio.glob("*"))


def _reports_pages(device: Path) -> bool:
    try:
        kind, features = int((device / "device").read_text(), 16), (device / "features").read_text()
    except (OSError, ValueError):
        return False
    return kind == _BALLOON and features[_REPORTING : _REPORTING + 1] == "1"


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
