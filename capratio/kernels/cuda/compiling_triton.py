"""How the CUDA kernels are compiled: by Triton, for each dtype and each set of constants, at their first use."""

from collections.abc import Callable
from typing import Any

import torch
import triton
import triton.language as tl

from capratio.kernels.compile_clock import COMPILE_CLOCK

# A compiled kernel is called as kernel[grid](...), which no type of Python's describes.
Decorator = Callable[[Callable[..., Any]], Any]
compile_kernel: Decorator = triton.jit

# Whoever listens already is told as before.
_LISTENER = triton.knobs.compilation.listener


def _count_compiling(*, times: Any, cache_hit: bool, **kernel: Any) -> None:
    if not cache_hit:
        # Triton counts in microseconds.
        COMPILE_CLOCK.add(times.total * 1e-6)
    if _LISTENER is not None:
        _LISTENER(times=times, cache_hit=cache_hit, **kernel)


triton.knobs.compilation.listener = _count_compiling

_INTERPRETED = tl.constexpr(triton.knobs.runtime.interpret)


def on_device(tensor: torch.Tensor) -> torch.cuda.device_of:
    """A context in which kernels start on the tensor's device; Triton starts them on the current one."""
    return torch.cuda.device_of(tensor)  # type: ignore[no-untyped-call]


@compile_kernel
def add_product(sums: tl.tensor, left: tl.tensor, right: tl.tensor) -> tl.tensor:
    """sums + left @ right in float32: of float32 blocks as the reference has it, and not in tf32."""
    if _INTERPRETED:
        # The interpreter multiplies the bits of bfloat16 as whole numbers; widening first gives the same products.
        left = left.to(tl.float32)
        right = right.to(tl.float32)
    return tl.dot(left, right, sums, input_precision="ieee")
