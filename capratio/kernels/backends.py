"""Which implementation of an operation runs: the one that is named, or for ``auto`` the device's own.

An implementation is a module of the operation's folder, ``reference``, ``cpu`` or ``cuda``, that is imported when it is
first asked for, so that numba and triton are loaded only where they run. A peer is what a user would write with torch's
own functions instead; it is never chosen by ``auto``, and measured beside ours. The reference of leaf_linear is the
peer that loops over the visited leaves.
"""

from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any

import torch

from capratio.errors import InputError

AUTO = "auto"
REFERENCE = "reference"
# Of each operation's folder: its implementations. Every operation has a reference, which runs on any device.
BACKENDS: dict[str, tuple[str, ...]] = {
    "hyperplane_bits": (REFERENCE,),
    "leaf_index": (REFERENCE, "cpu"),
    "leaf_linear": (REFERENCE, "cpu", "grouped-mm", "gather-bmm"),
    "path_bias": (REFERENCE,),
    "path_linear": (REFERENCE,),
    "tree_route": (REFERENCE, "cpu"),
    "unit_lookup": (REFERENCE, "embedding-bag"),
}
# They run on every device that torch has.
PEERS = ("grouped-mm", "gather-bmm", "embedding-bag")
NAMES = (AUTO, REFERENCE, "cpu", *PEERS)
# What finds a token's leaf: a layer that runs a peer's product has these of its device, so that products alone differ.
ROUTING = ("hyperplane_bits", "leaf_index", "tree_route")

Implementation = Callable[..., Any]


def known_backend(backend: str) -> str:
    """Return ``backend``; raise InputError where it is neither ``auto`` nor an implementation of any operation."""
    if backend not in NAMES:
        raise InputError(f"backend={backend!r} is not known; it must be one of {', '.join(NAMES)}.")
    return backend


def resolve_backend(folder: str, backend: str, device: torch.device) -> str:
    """The implementation that runs on a device, one of ``BACKENDS[folder]``.

    ``auto`` takes the device's own where the operation has one, and else the reference, which is then the only one. One
    that is named for the layer stands for those of its operations that have it.

    Raises InputError for another name, one that cannot run on the device, or a peer that the operation does not have.
    """
    if known_backend(backend) in PEERS:
        if backend in BACKENDS[folder]:
            return backend
        if folder not in ROUTING:
            raise InputError(
                f"backend={backend!r} was given for {folder}, which has none of that name; use one of "
                f"{', '.join((AUTO, *BACKENDS[folder]))}."
            )
        backend = AUTO
    own = [name for name in BACKENDS[folder] if name not in PEERS]
    if backend == REFERENCE or len(own) == 1:
        return REFERENCE
    if backend == AUTO:
        return device.type if device.type in own else REFERENCE
    if device.type != backend:
        raise InputError(
            f"backend={backend!r} was given for tensors on {device.type}; use {AUTO!r}, {REFERENCE!r} or move them."
        )
    return backend


@cache
def implementation(folder: str, operation: str, backend: str, device_type: str) -> Implementation:
    """The function that runs an operation; remembered, since finding it takes longer than a small product.

    Raises InputError as ``resolve_backend`` does, and where the implementation's compiler cannot be used.
    """
    chosen = resolve_backend(folder, backend, torch.device(device_type))
    try:
        module = import_module(f"capratio.kernels.{folder}.{chosen.replace('-', '_')}")
    except (ImportError, RuntimeError, OSError) as error:
        sentence = " ".join(str(error).split())
        raise InputError(
            f"the {chosen} kernels of {folder} cannot be loaded ({sentence}); mend that, or name backend='{REFERENCE}'."
        ) from error
    function: Implementation = getattr(module, operation)
    return function
