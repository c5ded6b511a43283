"""Which implementation of an operation runs: the one that is named, or for ``auto`` the one measured to be faster.

An implementation is a module of the operation's folder, ``reference``, ``cpu`` or ``cuda``, that is imported when it is
first asked for, so that numba and triton are loaded only where they run. A peer is what a user would take instead,
torch's own functions, a package or a published algorithm; it is never chosen by ``auto``, and measured beside ours. The
reference of leaf_linear is the peer that loops over the visited leaves.
"""

import os
import pickle
from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any

import torch

from capratio.errors import InputError
from capratio.kernels.crossovers import AUTO_CHOICES

AUTO, REFERENCE, CPU, CUDA = "auto", "reference", "cpu", "cuda"
# Peers run on every device that torch has.
PEERS = (
    "grouped-mm",
    "gather-bmm",
    "embedding-bag",
    "fastfeedforward",
    "ultrafastbert",
    "dense-masked",
    "bsr",
    "hf-eager",
    "hf-batched-mm",
    "hf-grouped-mm",
)
NAMES = (AUTO, REFERENCE, CPU, CUDA, *PEERS)
# Of each operation's folder: its implementations. Every operation has a reference, which runs on any device.
BACKENDS: dict[str, tuple[str, ...]] = {
    "block_linear": (REFERENCE, CPU, CUDA, "dense-masked", "bsr"),
    "expert_feedforward": (REFERENCE, CPU, CUDA, "grouped-mm", "hf-eager", "hf-batched-mm", "hf-grouped-mm"),
    "hyperplane_bits": (REFERENCE,),
    "leaf_feedforward": (REFERENCE, "fastfeedforward"),
    "leaf_index": (REFERENCE, CPU, CUDA),
    "leaf_linear": (REFERENCE, CPU, CUDA, "grouped-mm", "gather-bmm"),
    "path_bias": (REFERENCE, CPU, CUDA),
    "path_feedforward": (REFERENCE, "ultrafastbert"),
    "path_linear": (REFERENCE, CPU, CUDA),
    "row_lookup": (REFERENCE, CPU, CUDA, "embedding-bag"),
    "router_logits": (REFERENCE,),
    "sign_leaf": (REFERENCE, CPU, CUDA),
    "tree_descent": (REFERENCE, CPU, CUDA),
    "tree_route": (REFERENCE, CPU, CUDA),
    "unit_lookup": (REFERENCE, CPU, CUDA, "embedding-bag"),
}
# What finds a token's leaf: a layer that runs a peer's product has these of its device, so that products alone differ.
ROUTING = ("hyperplane_bits", "leaf_index", "router_logits", "sign_leaf", "tree_descent", "tree_route")

Implementation = Callable[..., Any]

# What to do where an implementation cannot be loaded.
_MENDS = {
    CPU: "they are kept in the folder NUMBA_CACHE_DIR, if that is set, else in the user's cache: make it writable",
    CUDA: "install triton, pip install 'capratio[cuda]'",
    "fastfeedforward": "install it, pip install 'capratio[peers]'",
    "hf-eager": "install transformers, pip install 'capratio[peers]'",
    "hf-batched-mm": "install transformers, pip install 'capratio[peers]'",
    "hf-grouped-mm": "install transformers, pip install 'capratio[peers]'",
}
# What reading compiled kernels raises where the files that keep them are damaged.
CACHE_ERRORS = (pickle.UnpicklingError, EOFError)


def known_backend(backend: str) -> str:
    """Return ``backend``; raise InputError where it is neither ``auto`` nor an implementation of any operation."""
    if backend not in NAMES:
        raise InputError(f"backend={backend!r} is not known; it must be one of {', '.join(NAMES)}.")
    return backend


def resolve_backend(folder: str, backend: str, device: torch.device, dtype: torch.dtype | None = None) -> str:
    """The implementation that runs on a device, one of ``BACKENDS[folder]``.

    ``auto`` takes the one that was measured to be the faster on such a device (crossovers.toml), and the reference
    where there is but that, or for float64 on a CUDA device, which the kernels there do not take. One that is named for
    the layer stands for those of its operations that have it.

    Args: dtype: of the tensors, None where it makes no difference.

    Raises InputError for another name, one that cannot run on the device or in that dtype, or a peer that the operation
    does not have.
    """
    if known_backend(backend) in PEERS:
        if folder not in ROUTING:
            return _peer(folder, backend)
        backend = AUTO
    if backend == REFERENCE or BACKENDS[folder] == (REFERENCE,):
        return REFERENCE
    if backend == AUTO:
        chosen = AUTO_CHOICES.get(device.type, {}).get(folder, REFERENCE)
        return REFERENCE if chosen == CUDA and dtype == torch.float64 else chosen
    _check_device(backend, device, dtype)
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
        module = import_module(f"capratio.kernels.{folder}.{chosen.replace('-', '_')}")
    except (ImportError, RuntimeError, OSError, ValueError) as error:
        sentence = " ".join(str(error).split())
        raise InputError(
            f"the {chosen} kernels of {folder} cannot be loaded ({sentence}); {_MENDS.get(chosen, 'mend that')}, or "
            f"name backend='{REFERENCE}'."
        ) from error
    function: Implementation = getattr(module, operation)
    return function


def damaged_cache(folder: str, error: Exception) -> InputError:
    """What to do where compiled kernels were kept and cannot be read."""
    return InputError(
        f"the compiled kernels of {folder} that were kept cannot be read ({error}); delete their folder, which is "
        f"NUMBA_CACHE_DIR, if that is set, else capratio/kernels in the user's cache, or name backend='{REFERENCE}'."
    )


def _peer(folder: str, backend: str) -> str:
    if backend not in BACKENDS[folder]:
        raise InputError(
            f"backend={backend!r} was given for {folder}, which has none of that name; use one of "
            f"{', '.join((AUTO, *BACKENDS[folder]))}."
        )
    return backend


def _check_device(backend: str, device: torch.device, dtype: torch.dtype | None) -> None:
    if backend == CUDA and dtype == torch.float64:
        raise InputError(
            f"backend={backend!r} was given for float64, which its kernels do not take; use float32, bfloat16 or "
            f"float16, or backend={REFERENCE!r}."
        )
    if device.type != backend and not (backend == CUDA and device.type == CPU and interprets_triton()):
        raise InputError(
            f"backend={backend!r} was given for tensors on {device.type}; use {AUTO!r}, {REFERENCE!r} or move them."
        )
