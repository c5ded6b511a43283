"""What torch's own grouped product asks for, which operations offer as a peer: sorted groups, dtypes and widths."""

import torch

from capratio.errors import InputError

DTYPES = (torch.float32, torch.bfloat16, torch.float16)
# The strides that torch takes are multiples of this.
STRIDE_BYTES = 16
# On CUDA torch takes fewer groups than this.
CUDA_GROUPS = 1024


def check_widths(rows: torch.Tensor, *widths: int) -> None:
    """Raise InputError for a dtype, or a width, that torch's product does not take."""
    if rows.dtype not in DTYPES:
        raise InputError(
            f"backend='grouped-mm' was given {rows.dtype}; torch.nn.functional.grouped_mm takes float32, bfloat16 and "
            "float16, use another backend."
        )
    for width in widths:
        if width * rows.itemsize % STRIDE_BYTES:
            raise InputError(
                f"backend='grouped-mm' was given {width} features of {rows.itemsize} bytes; "
                f"torch.nn.functional.grouped_mm takes strides that are multiples of {STRIDE_BYTES} bytes, give such "
                "widths or use another backend."
            )


def sort_groups(keys: torch.Tensor, groups: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Keys ascending, (N,), the places that they stood at, (N,), and where each group's keys end, (groups,) int32.

    A key of ``groups`` or more is in no group. Raises InputError for more groups than torch's product takes.
    """
    if keys.is_cuda and groups >= CUDA_GROUPS:
        raise InputError(
            f"backend='grouped-mm' was given {groups} matrices on CUDA, where torch.nn.functional.grouped_mm takes "
            f"fewer than {CUDA_GROUPS}; use another backend."
        )
    ascending, order = torch.sort(keys, stable=True)
    # Counting by bincount would wait for a device to tell how many there are.
    ends = torch.searchsorted(ascending, torch.arange(groups, device=keys.device), right=True, out_int32=True)
    return ascending, order, ends
