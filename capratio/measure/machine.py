"""The machine that measures: what it is, what is installed, and what of it may not change within a run."""

import os
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil
import torch

from capratio.errors import InputError
from capratio.measure.telemetry import gpu_names

CPU_CACHES = Path("/sys/devices/system/cpu/cpu0/cache")
PACKAGES = ("capratio", "torch", "numpy", "scipy", "pandas", "nvidia-ml-py", "psutil")
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "KMP_AFFINITY", "OMP_PROC_BIND")
# Where the kernel does not tell its caches: larger than what most cores share, so that cold stays cold.
UNKNOWN_LAST_LEVEL_BYTES = 64 * 2**20


def require_linux() -> None:
    """Raise InputError on a system other than Linux, whose memory and cache figures cannot be read."""
    if not sys.platform.startswith("linux"):
        raise InputError(
            f"this system is {sys.platform}; capratio measures on Linux only, since it reads memory and caches from "
            "/proc and /sys. Reports and closed forms work here."
        )


def free_memory_bytes() -> int:
    """Memory that a new process can take without swapping, in bytes."""
    return int(psutil.virtual_memory().available)


def cache_sizes() -> dict[str, int]:
    """The caches that the first core sees, in bytes: ``L1d``, ``L2``, ``L3``, as far as the kernel tells them."""
    sizes = {}
    for index in sorted(CPU_CACHES.glob("index*")):
        kind = (index / "type").read_text().strip()
        if kind != "Instruction":
            level = (index / "level").read_text().strip()
            sizes[f"L{level}{'d' if kind == 'Data' else ''}"] = _kib((index / "size").read_text().strip())
    return sizes


def last_level_cache_bytes() -> int:
    """The largest cache, in bytes, or a generous guess where the kernel tells none."""
    return max(cache_sizes().values(), default=UNKNOWN_LAST_LEVEL_BYTES)


def machine_identity() -> dict[str, object]:
    """What may not change within a run: processor, cores, caches, memory to the GiB, and GPUs."""
    return {
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "caches_bytes": cache_sizes(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "gpus": gpu_names(),
    }


def describe_machine(source: Path | None = None) -> dict[str, object]:
    """All that a reader needs to know about the machine and the software, for ``machine.json``.

    source: the checkout whose commit and state are read by git; a folder that is none gives None for both.
    """
    commit, dirty = _commit(source)
    return machine_identity() | {
        "architecture": platform.machine(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "torch_config": " ".join(torch.__config__.parallel_info().split())[:2000],
        "torch_threads": torch.get_num_threads(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "affinity": sorted(os.sched_getaffinity(0)),
        "environment": {name: os.environ[name] for name in THREAD_VARIABLES if name in os.environ},
        "commit": commit,
        "dirty": dirty,
    }


def cpu_model() -> str:
    """The processor's name as the kernel gives it, with family, model and stepping, since names alone repeat."""
    first = dict(
        (part.strip() for part in line.split(":", 1))
        for line in Path("/proc/cpuinfo").read_text().partition("\n\n")[0].splitlines()
        if ":" in line
    )
    name = first.get("model name", platform.machine())
    numbers = [first[key] for key in ("cpu family", "model", "stepping") if key in first]
    return f"{name} ({'/'.join(numbers)})" if numbers else name


def _kib(text: str) -> int:
    units = {"K": 2**10, "M": 2**20, "G": 2**30}
    return int(text[:-1]) * units[text[-1]] if text[-1] in units else int(text)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _commit(source: Path | None) -> tuple[str | None, bool | None]:
    # Only a checkout of its own: an environment inside somebody's repository must not borrow that one's commit.
    if source is None or not (source / ".git").exists():
        return None, None
    commit = _git(source, "rev-parse", "HEAD")
    state = _git(source, "status", "--porcelain")
    return commit or None, None if state is None else bool(state)


def _git(source: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(source), *arguments], capture_output=True, text=True, timeout=20, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
