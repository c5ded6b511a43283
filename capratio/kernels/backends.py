"""Which implementation of an operation runs: the one that is named, or for ``auto`` the device's own.

An implementation is a module of the operation's folder, ``reference``, ``cpu`` or ``cuda``, that is imported when it is
first asked for, so that numba and triton are loaded only where they run.
"""

import os
from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any

import torch

from capratio.errors import InputError

AUTO = "auto"
REFERENCE = "reference"
CUDA = "cuda"
# Of each operation's folder: its implementations. Every operation has a reference, which runs on any device.
BACKENDS: dict[str, tuple[str, ...]] = {
    "hyperplane_bits": (REFERENCE,),
    "leaf_index": (REFERENCE, "cpu", CUDA),
    "leaf_linear": (REFERENCE, "cpu", CUDA),
    "path_bias": (REFERENCE, CUDA),
    "path_linear": (REFERENCE, CUDA),
    "tree_route": (REFERENCE, "cpu", CUDA),
    "unit_lookup": (REFERENCE, CUDA),
}
NAMES = (AUTO, REFERENCE, "cpu", CUDA)

Implementation = Callable[..., Any]


def known_backend(backend: str) -> str:
    """Return ``backend``; raise InputError where it is neither ``auto`` nor an implementation of any operation."""
    if backend not in NAMES:
        raise InputError(f"backend={backend!r} is not known; it must be one of {', '.join(NAMES)}.")
    return backend


def resolve_backend(folder: str, backend: str, device: torch.device, dtype: torch.dtype | None = None) -> str:
    """The implementation that runs on a device, one of ``BACKENDS[folder]``.

    ``auto`` takes the device's own where the operation has one, and else the reference; so it does for float64 on a
    CUDA device, which the kernels there do not take. One that is named for the layer stands for those of its operations
    that have it.

    Args: dtype: of the tensors, None where it makes no difference.

    Raises InputError for another name, or one that cannot run on the device, or not in that dtype.
    """
    if known_backend(backend) == REFERENCE or len(BACKENDS[folder]) == 1:
        return REFERENCE
    if backend == AUTO:
        own = device.type in BACKENDS[folder] and not (device.type == CUDA and dtype == torch.float64)
        return device.type if own else REFERENCE
    if backend == CUDA and dtype == torch.float64:
        raise InputError(
            f"backend={backend!r} was given for float64, which its kernels do not take; use float32, bfloat16 or "
            f"float16, or backend={REFERENCE!r}."
        )
    if device.type != backend and not (backend == CUDA and device.type == "cpu" and interprets_triton()):
        raise InputError(
            f"backend={backend!r} was given for tensors on {device.type}; use {AUTO!r}, {REFERENCE!r} or move them."
        )
    return backend


def interprets_triton() -> bool:
    """Whether Triton's own setting has its interpreter run the CUDA kernels, on tensors of the CPU."""
    return os.environ.get("TRITON_INTERPRET", "").lower() in ("1", "true", "on")


@cache
def implementation(
    folder: str, operation: str, backend: str, device_type: str, dtype: torch.dtype | None = None
) -> Implementation:
    """The function that runs an operation; remembered, since finding it takes longer than a small product.

    Raises InputError as ``resolve_backend`` does, and where the implementation's compiler cannot be used.
    """
    chosen = resolve_backend(folder, backend, torch.device(device_type), dtype)
    try:
        module = import_module(f"capratio.kernels.{folder}.{chosen}")
    except (ImportError, RuntimeError, OSError) as error:
        sentence = " ".join(str(error).split())
        raise InputError(
            f"the {chosen} kernels of {folder} cannot be loaded ({sentence}); mend that, or name backend='{REFERENCE}'."
        ) from error
    function: Implementation = getattr(module, operation)
    return function
