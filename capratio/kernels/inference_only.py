"""Operations without a gradient say so before they run."""

from collections.abc import Sequence

import torch

from capratio.errors import InputError


def refuse_gradients(backend: str, tensors: Sequence[torch.Tensor]) -> None:
    """Raise InputError where autograd would record a call on these tensors."""
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors):
        raise InputError(
            f"backend={backend!r} gives no gradients; call it under torch.inference_mode() or torch.no_grad(), or "
            "train with backend='auto'."
        )
