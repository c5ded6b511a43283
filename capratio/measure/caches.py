"""The CPU's caches, as the kernel lists them, or lscpu where it does not."""

import os
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

SYSTEM = Path("/sys/devices/system/cpu")
# What is taken where neither says: more than most cores have, so that cold still means cold.
ASSUMED_LAST_LEVEL_BYTES = 64 * 2**20

_FACTORS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30}
_LSCPU_LINE = re.compile(r"^L(\d)([di]?) cache:\s*(\d+)\s*(?:\((\d+) instances?\))?", re.MULTILINE)
_LETTERS = {"unified": "", "data": "d", "instruction": "i"}
_LSCPU_KINDS = {"": "unified", "d": "data", "i": "instruction"}


@dataclass(frozen=True, slots=True)
class Cache:
    """One cache. level: 1, 2, 3. kind: ``data``, ``instruction`` or ``unified``. size_bytes: of one of them.

    shared_by_cpus: logical CPUs that share it, as the kernel writes their list, or None where it does not say.
    """

    level: int
    kind: str
    size_bytes: int
    shared_by_cpus: str | None

    @property
    def name(self) -> str:
        """``L1d``, ``L1i``, ``L2``, ``L3``."""
        return f"L{self.level}{_LETTERS[self.kind]}"


def read_caches(system: Path = SYSTEM, lscpu: Callable[[], str] | None = None) -> tuple[Cache, ...]:
    """The caches of the first CPU, level by level; empty where nothing lists them.

    Args: system: where the kernel lists CPUs. lscpu: gives what ``lscpu -B`` prints; asked only where the kernel is
    silent.
    """
    folders = sorted((system / "cpu0" / "cache").glob("index*"))
    found = [cache for folder in folders if (cache := _from_kernel(folder)) is not None]
    if not found:
        found = _from_lscpu((lscpu or _run_lscpu)())
    return tuple(sorted(found, key=lambda cache: (cache.level, cache.kind)))


def last_level(caches: tuple[Cache, ...]) -> int | None:
    """Bytes of the last level that holds data, None where no cache is known."""
    sizes = [(cache.level, cache.size_bytes) for cache in caches if cache.kind != "instruction"]
    return max(sizes)[1] if sizes else None


def parse_size(text: str) -> int:
    """Bytes of the kernel's notation: ``32K``, ``1M``, ``512``."""
    match = re.fullmatch(r"(\d+)([KMG]?)", text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a size")
    return int(match[1]) * _FACTORS[match[2]]


def _from_kernel(folder: Path) -> Cache | None:
    try:
        return Cache(
            int((folder / "level").read_text()),
            (folder / "type").read_text().strip().lower(),
            parse_size((folder / "size").read_text()),
            (folder / "shared_cpu_list").read_text().strip(),
        )
    except (OSError, ValueError):
        return None


def _from_lscpu(printed: str) -> list[Cache]:
    """lscpu gives the sum over all instances of a cache."""
    return [
        Cache(int(level), _LSCPU_KINDS[kind], int(size) // int(instances or 1), None)
        for level, kind, size, instances in _LSCPU_LINE.findall(printed)
    ]


def _run_lscpu() -> str:
    try:
        environment = {**os.environ, "LC_ALL": "C"}
        done = subprocess.run(["lscpu", "-B"], capture_output=True, text=True, timeout=10, check=False, env=environment)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout
