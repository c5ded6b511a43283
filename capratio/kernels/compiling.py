"""How the CPU kernels are compiled: by numba, at their first use, with a note that says so, and kept for later."""

import sys
from collections.abc import Callable
from threading import get_ident
from time import perf_counter
from typing import Any

import numba
import torch
from numba.core import event

# Sums may be reordered and multiply-adds fused, which vectorises them; NaN and infinity keep their meaning.
FAST = {"reassoc", "contract", "nsz", "arcp"}

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def _compiler(**options: Any) -> Decorator:
    decorator: Decorator = numba.njit(cache=True, nogil=True, fastmath=FAST, **options)
    return decorator


compile_kernel = _compiler()
compile_parallel = _compiler(parallel=True)
# Of functions that allocate nothing and are called for every row: without counting references to their arrays.
compile_tile = _compiler(_nrt=False)


class CompileNote(event.Listener):
    """Says on standard error that kernels are compiled, once a process, and adds up the seconds that it takes."""

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
                sys.stderr.write("capratio: compiling CPU kernels, once for this version and machine ...\n")

    def on_end(self, event: Any) -> None:
        """A function is compiled."""
        thread = get_ident()
        self._nested[thread] -= 1
        if self._nested[thread] == 0:
            self.seconds += perf_counter() - self._began.pop(thread)


# What numba may use at most is settled when it is imported.
_ALL_THREADS: int = numba.get_num_threads()

COMPILE_NOTE = CompileNote()
event.register("numba:compile", COMPILE_NOTE)  # type: ignore[no-untyped-call]


def array(tensor: torch.Tensor) -> Any:
    """A tensor's memory as numba takes it, without a copy where it is contiguous.

    Half types, which numba does not know, cross as their bits: bfloat16 as uint16, float16 as int16; bool as uint8.
    """
    tensor = tensor.detach().contiguous()
    crossed = _CROSSED.get(tensor.dtype)
    crossed_tensor = tensor if crossed is None else tensor.view(crossed)
    numbers: Any = crossed_tensor.numpy()
    return numbers


_CROSSED = {torch.bfloat16: torch.uint16, torch.float16: torch.int16, torch.bool: torch.uint8}


def use_torch_threads() -> None:
    """Let this thread's next parallel kernel use as many threads as torch does, or all that numba has."""
    numba.set_num_threads(min(torch.get_num_threads(), _ALL_THREADS))
