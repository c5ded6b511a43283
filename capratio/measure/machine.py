"""The machine that measures: what a reader needs to know of it, and what makes it another machine."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil
import torch

import capratio
from capratio.measure.caches import ASSUMED_LAST_LEVEL_BYTES, SYSTEM, last_level, read_caches
from capratio.measure.cuda_device import l2_bytes
from capratio.measure.free_memory import free_memory_bytes
from capratio.measure.source_state import content_hash, source_state
from capratio.measure.telemetry import NoTelemetry, gpu_names, open_telemetry
from capratio.threading_layer import missing_layer

__all__ = [
    "cache_sizes",
    "describe_machine",
    "free_memory_bytes",
    "last_level_cache_bytes",
    "machine_identity",
    "read_governor",
]

PACKAGE = Path(capratio.__file__).parent
# What changes a measurement, or the page that shows it.
PACKAGES = [
    "click",
    "jinja2",
    "numba",
    "numpy",
    "nvidia-ml-py",
    "pandas",
    "psutil",
    "py-cpuinfo",
    "pyarrow",
    "rich",
    "scikit-learn",
    "scipy",
    "seaborn",
    "threadpoolctl",
    "torch",
    "triton",
]
ENVIRONMENT = [
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "OMP_PROC_BIND",
    "OMP_PLACES",
    "GOMP_CPU_AFFINITY",
    "KMP_AFFINITY",
    "MALLOC_CONF",
    "LD_PRELOAD",
    "CUDA_VISIBLE_DEVICES",
    "ATEN_CPU_CAPABILITY",
    "ONEDNN_MAX_CPU_ISA",
]


def last_level_cache_bytes() -> int:
    """Bytes of the CPU's last cache level; 64 MiB is assumed where the system does not tell."""
    return last_level(read_caches()) or ASSUMED_LAST_LEVEL_BYTES


def cache_sizes() -> dict[str, int]:
    """Bytes of one cache of each level by its name (``L1d``, ``L1i``, ``L2``, ``L3``); empty where nothing tells."""
    return {cache.name: cache.size_bytes for cache in read_caches()}


def machine_identity() -> dict[str, object]:
    """What makes it another machine: a run that was measured on one is not continued on another.

    Model, architecture, caches, cores that may be used, memory in whole GiB and GPU names: stable from boot to boot.
    """
    return {
        "cpu_model": cpu_model(),
        "architecture": platform.machine(),
        "caches": cache_sizes(),
        "cores": _usable_cpus(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "gpus": list(gpu_names()),
    }


def describe_machine(source: Path | None = None) -> dict[str, object]:
    """What a reader needs to know of the machine, as JSON keeps it.

    Args: source: the root of the checkout that runs, whose commit is recorded; without one, or where it is none, the
    commit is None.
    """
    state, last_bytes, opened = source_state(source), last_level(read_caches()), open_telemetry()
    return {
        **machine_identity(),
        "gpu_telemetry_absent_because": opened.reason if isinstance(opened, NoTelemetry) else None,
        "gpu_l2_bytes": l2_bytes() if torch.cuda.is_available() else None,
        "last_level_cache_bytes": last_bytes or ASSUMED_LAST_LEVEL_BYTES,
        "last_level_cache_assumed": last_bytes is None,
        "physical_cores": psutil.cpu_count(logical=False),
        "logical_cpus": psutil.cpu_count(),
        "threads": torch.get_num_threads(),
        "interop_threads": torch.get_num_interop_threads(),
        "memory_bytes": psutil.virtual_memory().total,
        "governor": read_governor(),
        "kernel": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "packages": _versions(),
        # Its last line lists compiler flags, of no use to a reader and longer than all else.
        "torch_config": torch.__config__.show().partition("  - Build settings")[0],
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "thread_pools": _thread_pools(),
        "compiled_threads_absent_because": missing_layer(),
        "environment": {name: os.environ[name] for name in ENVIRONMENT if name in os.environ},
        "capratio": capratio.__version__,
        "commit": state.commit,
        "dirty": state.dirty,
        "content": content_hash(PACKAGE),
    }


def cpu_model(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """The CPU's name as the kernel gives it, the architecture where it gives none."""
    try:
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    # Some architectures have no such line; the package knows them by their numbers, and takes a second.
    from cpuinfo import get_cpu_info

    return str(get_cpu_info().get("brand_raw") or platform.machine())


def read_governor(system: Path = SYSTEM) -> str | None:
    """The rule by which the kernel chooses the first CPU's clock, None where it does not (a virtual machine)."""
    try:
        return (system / "cpu0" / "cpufreq" / "scaling_governor").read_text().strip()
    except OSError:
        return None


def _usable_cpus() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _versions() -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found


def _thread_pools() -> list[dict[str, Any]]:
    from threadpoolctl import threadpool_info  # type: ignore[import-untyped]

    kept = ("user_api", "internal_api", "num_threads", "version")
    return [{key: pool.get(key) for key in kept} for pool in threadpool_info()]
