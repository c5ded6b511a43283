"""How the CPU kernels are compiled: by numba, at their first use, with a note that says so, and kept for later."""

import atexit
import hashlib
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from threading import get_ident
from time import perf_counter
from typing import Any

import numba
import torch
from numba.core import config as numba_config
from numba.core import event

from capratio.kernels.compile_clock import COMPILE_CLOCK
from capratio.threading_layer import missing_layer

# Sums may be reordered and multiply-adds fused, which vectorises them; NaN and infinity keep their meaning.
FAST = {"reassoc", "contract", "nsz", "arcp"}

# Read from the environment, and known to no type checker.
config: Any = numba_config

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


# Without the OpenMP layer a parallel loop is a plain one.
PARALLEL = missing_layer() is None


def cache_folder() -> Path:
    """Where compiled kernels are kept: ``NUMBA_CACHE_DIR``, or a folder of these sources in the user's cache.

    numba compiles a function anew when its own file changes, and not when a function changes that it calls; so each
    content of ``capratio.kernels`` has a folder of its own. Nor does it ask whether what it kept was compiled for
    several threads, so that kernels for one have a folder inside.
    """
    kept = Path(config.CACHE_DIR) if config.CACHE_DIR else _folder_of_the_sources()
    return kept if PARALLEL else kept / "one-thread"


def _folder_of_the_sources() -> Path:
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.parent.rglob("*.py")):
        digest.update(path.read_bytes())
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "capratio" / "kernels" / digest.hexdigest()[:16]


def writable(folder: Path) -> str:
    """The folder, made if it is not there.

    Raises OSError where it cannot be written, which numba would find out after it has compiled.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK):
        raise PermissionError(f"{folder} cannot be written")
    return str(folder)


_CACHE_FOLDER = writable(cache_folder())


def _compiler(**options: Any) -> Decorator:
    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        # numba asks for the folder of a function when it is decorated; other users of numba keep theirs.
        before, config.CACHE_DIR = config.CACHE_DIR, _CACHE_FOLDER
        try:
            compiled: Callable[..., Any] = numba.njit(cache=True, nogil=True, fastmath=FAST, **options)(function)
        finally:
            config.CACHE_DIR = before
        return compiled

    return decorate


compile_kernel = _compiler()
compile_parallel = _compiler(parallel=PARALLEL)
if PARALLEL:
    # The first parallel call of the process settles it.
    config.THREADING_LAYER = "omp"
# Of functions that allocate nothing and are called for every row: without counting references to their arrays.
compile_tile = _compiler(_nrt=False)


class CompileNote(event.Listener):
    """Says on standard error that kernels are compiled, once a process, and at its end how long that took."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._said = False
        self._nested: dict[int, int] = {}
        self._began: dict[int, float] = {}

    def on_start(self, event: Any) -> None:
        """A function begins to be compiled; those that it calls lie within."""
        thread = get_ident()
        self._nested[thread] = self._nested.get(thread, 0) + 1
        if self._nested[thread] == 1:
            self._began[thread] = perf_counter()
            if not self._said:
                self._said = True
                atexit.register(self.say_seconds)
                sys.stderr.write("capratio: compiling CPU kernels, once for this version and machine ...\n")

    def on_end(self, event: Any) -> None:
        """A function is compiled."""
        thread = get_ident()
        self._nested[thread] -= 1
        if self._nested[thread] == 0:
            spent_s = perf_counter() - self._began.pop(thread)
            self.seconds += spent_s
            COMPILE_CLOCK.add(spent_s)

    def say_seconds(self) -> None:
        """Say how long compiling took."""
        sys.stderr.write(f"capratio: CPU kernels were compiled in {self.seconds:.1f} s, and are kept.\n")


def _start_threads() -> int:
    """Start numba's threads, and return how many it may use at most.

    It tells OpenMP that number, which torch then takes for its own.
    """
    if not PARALLEL:
        return 1
    threads = torch.get_num_threads()
    most: int = numba.get_num_threads()
    torch.set_num_threads(threads)
    return most


_ALL_THREADS = _start_threads()

COMPILE_NOTE = CompileNote()
event.register("numba:compile", COMPILE_NOTE)  # type: ignore[no-untyped-call]


def array(tensor: torch.Tensor) -> Any:
    """A tensor's memory as numba takes it, without a copy where it is contiguous.

    Half types, which numba does not know, cross as their bits: bfloat16 as uint16, float16 as int16; bool as uint8.
    """
    # Each call here costs about 1 us, which counts beside a product of one token.
    if tensor.requires_grad:
        tensor = tensor.detach()
    if not tensor.is_contiguous():
        tensor = tensor.contiguous()
    crossed = _CROSSED.get(tensor.dtype)
    return tensor.numpy() if crossed is None else tensor.view(crossed).numpy()


_CROSSED = {torch.bfloat16: torch.uint16, torch.float16: torch.int16, torch.bool: torch.uint8}


_THREADS = threading.local()


def use_torch_threads() -> None:
    """Let this thread's next parallel kernel use as many threads as torch does, or all that numba has."""
    if not PARALLEL:
        return
    threads = torch.get_num_threads()
    # Telling numba the same number again takes 1 us.
    if getattr(_THREADS, "told", None) != threads:
        numba.set_num_threads(min(threads, _ALL_THREADS))
        _THREADS.told = threads
