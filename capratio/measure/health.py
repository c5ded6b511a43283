"""Can this machine measure? One finding for each thing that makes a measurement good or bad, with what to do."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil
import torch

from capratio.cost.roofline import Ceilings
from capratio.errors import InputError
from capratio.linux import require_linux
from capratio.measure.aa_pair import AaPair, measure_aa_pair
from capratio.measure.caches import last_level, read_caches
from capratio.measure.ceilings import measure_ceilings
from capratio.measure.clock import PerfClock, clock_resolution_s
from capratio.measure.free_memory import free_memory_bytes, host_takes_free_pages
from capratio.measure.machine import PACKAGE, PACKAGES, cpu_model, read_governor
from capratio.measure.telemetry import GpuState, NoTelemetry, Telemetry, open_telemetry
from capratio.threading_layer import missing_layer
from capratio.units import scaled

OK, WARNING, ABSENT = "ok", "warning", "absent"

# Other work takes this share of the processors: samples then meet it more often than not.
BUSY_SHARE = 0.3
# Beyond these, a difference of the gate's budget (2 %) cannot be told from noise.
AA_SHIFT, AA_NOISE = 0.01, 0.02
# A median this far above the fastest sample is not the work's own time but that of waiting.
AA_SLOWDOWN = 1.25
# Ceilings known worse than this make the distance from the limit a guess.
CEILINGS_SPREAD = 0.10
# Time that a host takes from a virtual machine.
STOLEN_SHARE = 0.01
# A call of a small layer takes some 20 µs; a coarser clock rounds it by more than its noise.
COARSE_CLOCK_S = 1e-6
# The largest point of the published case files needs about this.
LEAST_FREE_BYTES = 4 * 2**30
CEILINGS_BUDGET_S = 4.0


@dataclass(frozen=True, slots=True)
class Finding:
    """level: ``ok``, ``warning`` or ``absent`` (there is nothing of the kind here). advice: what to do, or None."""

    level: str
    name: str
    value: str
    advice: str | None = None


def check_health() -> list[Finding]:
    """Look at this machine, which takes some seconds: bandwidth and an A/A pair are measured."""
    # Before anything here makes load of its own.
    load, times_before = os.getloadavg()[0], psutil.cpu_times()
    clock, threads = PerfClock(), torch.get_num_threads()
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    findings = [
        judge_system(sys.platform),
        judge_machine(),
        judge_memory(free_memory_bytes()),
        judge_new_memory(host_takes_free_pages()),
        judge_threads(threads, usable, os.environ),
        judge_load(load, usable),
        judge_governor(read_governor()),
        judge_clock(clock_resolution_s(clock)),
        judge_compiled_threads(missing_layer()),
        # Beside a checkout's package, or where the installed command is called.
        judge_versions(pinned_versions(PACKAGE.parent / "constraints.txt") or pinned_versions(Path("constraints.txt"))),
        judge_aa_pair(measure_aa_pair(clock)),
        judge_ceilings(measure_ceilings(threads, ("float32",), CEILINGS_BUDGET_S)),
        judge_steal(stolen_share(times_before, psutil.cpu_times())),
    ]
    opened = open_telemetry()
    return [*findings, judge_gpu(opened.read() if isinstance(opened, Telemetry) else opened, torch.cuda.is_available())]


def judge_system(system: str) -> Finding:
    """Linux is ok."""
    try:
        require_linux(system)
    except InputError as error:
        return Finding(WARNING, "system", system, str(error))
    return Finding(OK, "system", system)


def judge_machine() -> Finding:
    """The processor and its caches; a warning where these are not told."""
    caches = read_caches()
    sizes = ", ".join(f"L{one.level} {scaled(one.size_bytes, 'B')}" for one in caches if one.kind != "instruction")
    if last_level(caches) is None:
        advice = "Cold cases evict an assumed size; give the caches to the virtual machine, or measure on another one."
        return Finding(WARNING, "machine", f"{cpu_model()}, caches unknown", advice)
    return Finding(OK, "machine", f"{cpu_model()}, {sizes}")


def judge_memory(free_bytes: int) -> Finding:
    """Free memory; a warning under what the published cases need."""
    if free_bytes < LEAST_FREE_BYTES:
        advice = "Large cases will be refused; free some memory, or sweep with --only and smaller sizes."
        return Finding(WARNING, "memory", f"{scaled(free_bytes, 'B')} free", advice)
    return Finding(OK, "memory", f"{scaled(free_bytes, 'B')} free")


def judge_new_memory(taken_back: bool) -> Finding:
    """Whether memory that was free for some seconds is the machine's own."""
    if taken_back:
        advice = (
            "A call that takes megabytes of new memory may be ten times slower for its first second; sample it for "
            "longer (time_limit_s of a case file), so that the median lies beyond."
        )
        return Finding(WARNING, "new memory", "the host takes free memory back, and gives it at first touch", advice)
    return Finding(OK, "new memory", "stays with this machine")


def judge_threads(threads: int, usable_cpus: int, environment: Mapping[str, str]) -> Finding:
    """torch's threads against the processors that this process may use."""
    asked = environment.get("OMP_NUM_THREADS")
    value = f"{threads} of torch on {usable_cpus} processors, OMP_NUM_THREADS {asked or 'not set'}"
    if threads > usable_cpus:
        advice = f"Threads wait for one another; set OMP_NUM_THREADS={usable_cpus} at most."
        return Finding(WARNING, "threads", value, advice)
    return Finding(OK, "threads", value)


def judge_load(load: float, cpus: int) -> Finding:
    """The one-minute load against the processors."""
    value = f"{load:.2f} on {cpus} processors"
    if load > BUSY_SHARE * cpus:
        return Finding(WARNING, "load", value, "Other work runs here; stop it, or wait, and look again in a minute.")
    return Finding(OK, "load", value)


def judge_governor(governor: str | None) -> Finding:
    """The rule for the processor's clock."""
    if governor is None:
        return Finding(ABSENT, "governor", "the kernel does not choose this processor's clock")
    if governor != "performance":
        advice = "The clock follows the load; set it with `cpupower frequency-set -g performance`."
        return Finding(WARNING, "governor", governor, advice)
    return Finding(OK, "governor", governor)


def judge_clock(resolution_s: float) -> Finding:
    """The smallest step of the clock."""
    value = f"steps of {scaled(resolution_s, 's')}"
    if resolution_s > COARSE_CLOCK_S:
        advice = "Short calls are rounded; see that the kernel's clocksource is tsc."
        return Finding(WARNING, "clock", value, advice)
    return Finding(OK, "clock", value)


def judge_compiled_threads(problem: str | None) -> Finding:
    """The threads of compiled kernels; problem: why numba's OpenMP layer cannot be loaded, or None."""
    if problem is not None:
        advice = "CPU kernels run on one thread; install the OpenMP runtime, libgomp, for numba's omp layer."
        return Finding(WARNING, "compiled threads", f"no OpenMP layer ({problem})", advice)
    return Finding(OK, "compiled threads", "numba's OpenMP layer")


def judge_versions(pinned: Mapping[str, str] | None) -> Finding:
    """Installed packages against the tested set; None where there is no list of it here."""
    if pinned is None:
        return Finding(ABSENT, "versions", f"torch {torch.__version__}; no constraints.txt here to compare with")
    other = [
        f"{name} {found} (tested {pinned[name]})" for name, found in _installed() if _other(found, pinned.get(name))
    ]
    if other:
        advice = "Results may differ from the published ones; install with `pip install -c constraints.txt .`."
        return Finding(WARNING, "versions", ", ".join(other), advice)
    return Finding(OK, "versions", "as in constraints.txt")


def judge_aa_pair(pair: AaPair) -> Finding:
    """The noise of the same work timed twice."""
    value = (
        f"ratio {pair.ratio:.4f}, median known to {pair.noise:.2%} and {pair.slowdown:.2f} times the fastest sample, "
        f"slowest tenth {pair.tail:.2f} times the median"
    )
    if pair.slowdown > AA_SLOWDOWN:
        advice = "Threads wait for a processor that other work holds; stop it, or measure with fewer threads."
        return Finding(WARNING, "A/A pair", value, advice)
    if abs(pair.ratio - 1.0) > AA_SHIFT or pair.noise > AA_NOISE:
        advice = "Differences of a few percent cannot be seen here; stop other work or take more replicates."
        return Finding(WARNING, "A/A pair", value, advice)
    return Finding(OK, "A/A pair", value)


def judge_ceilings(ceilings: Ceilings) -> Finding:
    """The machine's ceilings and how well they are known."""
    first, memory = ceilings.read_curve[0][1], ceilings.read_curve[-1][1]
    rate = ceilings.flop_per_s["float32"]
    value = (
        f"read {scaled(first, 'B/s')} (first cache) to {scaled(memory, 'B/s')} (memory), float32 products "
        f"{scaled(rate, 'FLOP/s')}, {ceilings.threads} threads, spread {ceilings.spread:.0%}"
    )
    if ceilings.spread > CEILINGS_SPREAD:
        advice = "Limits are known no better than this spread; other work or a shared host moves them."
        return Finding(WARNING, "ceilings", value, advice)
    return Finding(OK, "ceilings", value)


def judge_steal(share: float | None) -> Finding:
    """The share of processor time that the host gave to others while this looked."""
    if share is None:
        return Finding(ABSENT, "stolen time", "the kernel does not tell")
    if share > STOLEN_SHARE:
        advice = "The host gives this machine's time to others; take another machine or more replicates."
        return Finding(WARNING, "stolen time", f"{share:.1%}", advice)
    return Finding(OK, "stolen time", f"{share:.1%}")


def judge_gpu(state: GpuState | NoTelemetry, torch_sees_cuda: bool) -> Finding:
    """The first GPU, as NVML sees it."""
    if isinstance(state, NoTelemetry):
        if torch_sees_cuda:
            advice = "Clocks and energy will be absent; install nvidia-ml-py and the driver's NVML."
            return Finding(WARNING, "GPU", f"torch sees one, but {state.reason}", advice)
        return Finding(ABSENT, "GPU", state.reason)
    value = (
        f"{state.name}, SM clock {scaled(state.sm_clock_hz, 'Hz')} of {scaled(state.max_sm_clock_hz, 'Hz')}, "
        f"{state.temperature_c:.0f} °C, throttled by: {', '.join(state.throttle_reasons) or 'nothing'}"
    )
    if not torch_sees_cuda:
        return Finding(WARNING, "GPU", value, "torch does not see it; install a torch that is built for CUDA.")
    if state.throttle_reasons:
        advice = "Samples are discarded while it is throttled; cool it, or raise its power cap."
        return Finding(WARNING, "GPU", value, advice)
    return Finding(OK, "GPU", value)


def stolen_share(before: Any, after: Any) -> float | None:
    """The share of all processor time between two readings that the host took; None where the kernel does not tell.

    Args: before, after: what ``psutil.cpu_times()`` gave.
    """
    total = float(sum(after) - sum(before))
    if not hasattr(after, "steal") or total <= 0:
        return None
    return float(after.steal - before.steal) / total


def pinned_versions(constraints: Path) -> dict[str, str] | None:
    """Versions by package name in lower case, of a file of ``name==version`` lines; None where there is no file."""
    if not constraints.is_file():
        return None
    lines = (line.split("#")[0].strip() for line in constraints.read_text().splitlines())
    pairs = (line.split(";")[0].split("==") for line in lines if "==" in line)
    return {name.strip().lower(): pinned.strip() for name, pinned in pairs}


def _installed() -> list[tuple[str, str]]:
    found = []
    for name in PACKAGES:
        try:
            found.append((name, version(name)))
        except PackageNotFoundError:
            continue
    return found


def _other(found: str, pinned: str | None) -> bool:
    # 2.13.0+cpu is the build of 2.13.0 for a machine without a GPU.
    return pinned is not None and found.split("+")[0] != pinned.split("+")[0]
