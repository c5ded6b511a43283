"""Experts held against the tables that they point into."""

import torch

from capratio.errors import InputError


def check_experts(expert: torch.Tensor, experts: int) -> None:
    """Raise InputError where an index is neither an expert nor -1."""
    if expert.numel():
        for extreme in torch.aminmax(expert):
            if not -1 <= int(extreme) < experts:
                raise outside(int(extreme), experts)


def outside(expert: int, experts: int) -> InputError:
    """What to do about an index that is no expert."""
    return InputError(
        f"the expert {expert} was given for tables of {experts} experts; give experts from 0 to {experts - 1}, or -1 "
        "for none."
    )
