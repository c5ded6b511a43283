"""The CUDA device that torch runs on."""

import torch

from capratio.errors import InputError


def require_cuda() -> None:
    """Do nothing where torch finds a CUDA device.

    Raises InputError elsewhere.
    """
    if not torch.cuda.is_available():
        raise InputError(
            f"a case runs on CUDA, and torch {torch.__version__} finds no CUDA device here; measure on the CPU, or "
            "install a CUDA build of torch on a machine with a GPU."
        )


def current_device_uuid() -> str | int:
    """The UUID by which NVML knows torch's current device; its number where this torch does not tell a UUID."""
    number = torch.cuda.current_device()
    uuid = getattr(torch.cuda.get_device_properties(number), "uuid", None)
    return number if uuid is None else f"GPU-{uuid}"


def l2_bytes() -> int:
    """The size of the current device's L2 cache."""
    return int(torch.cuda.get_device_properties(torch.cuda.current_device()).L2_cache_size)
