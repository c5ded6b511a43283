"""Hugging Face's expert layers, peers: the package's own functions, given views of our experts.

Of experts without a gate ``eager`` is the loop of its Nemotron-H model, of gated ones that of Mixtral, on which most of
its models are built.
"""

from collections.abc import Callable
from typing import Any

import torch

from capratio.errors import InputError
from capratio.kernels.expert_feedforward.activations import is_gated
from capratio.kernels.expert_feedforward.expert_check import check_experts
from capratio.kernels.library_groups import DTYPES, STRIDE_BYTES
from capratio.kernels.precision import product_dtype

try:
    from transformers.activations import ACT2FN
    from transformers.integrations import moe
    from transformers.models.mixtral.modeling_mixtral import MixtralExperts
    from transformers.models.nemotron_h.modeling_nemotron_h import NemotronHExperts
except ImportError as error:
    raise InputError(
        "the backends hf-eager, hf-batched-mm and hf-grouped-mm need the package transformers, which is not installed; "
        "install it by the extra peers, pip install 'capratio[peers]'."
    ) from error

# A function of the package: of its module, (N, p), the experts (N, k) and their shares (N, k).
Forward = Callable[["Experts", torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]

# The package's names of what stands between two products, or gates them.
CURVES = {"relu": "relu", "gelu": "gelu", "geglu": "gelu", "swiglu": "silu"}


class Experts:
    """What the package's functions read of its module, under its names; the matrices are ours.

    absent: whether the index E stands for no expert, as in the package where another device has the expert.
    """

    has_bias = False
    has_post_expert_norm = False
    is_transposed = False
    _apply_gate = moe._default_apply_gate

    def __init__(self, weight_in: torch.Tensor, weight_out: torch.Tensor, activation: str, *, absent: bool) -> None:
        self.num_experts = len(weight_in)
        self.has_gate = is_gated(activation)
        self.up_proj = self.gate_up_proj = weight_in
        self.down_proj = weight_out
        self.act_fn = ACT2FN[CURVES[activation]]
        self._is_expert_parallel = absent


def eager(experts: Experts, x: torch.Tensor, expert: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
    """A loop over the visited experts.

    Raises InputError for experts without a gate of which a token lacks one: Nemotron-H's loop knows no such index.
    """
    if experts._is_expert_parallel and not experts.has_gate:
        raise InputError(
            "backend='hf-eager' was given tokens without an expert, which the package's loop has for gated experts "
            "alone; use another backend."
        )
    package: Any = MixtralExperts if experts.has_gate else NemotronHExperts
    out: torch.Tensor = package.forward.__wrapped__(experts, x, expert, share)
    return out


def batched_mm(experts: Experts, x: torch.Tensor, expert: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
    """Batched products, for which the matrices of every assignment are gathered."""
    out: torch.Tensor = moe.batched_mm_experts_forward(experts, x, expert, share)
    return out


def grouped_mm(experts: Experts, x: torch.Tensor, expert: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
    """Assignments sorted by expert, and torch's grouped products.

    Raises InputError for a dtype or a width that those do not take.
    """
    widths = {size for table in (experts.up_proj, experts.down_proj) for size in table.shape[1:]}
    if x.dtype not in DTYPES or any(width * x.itemsize % STRIDE_BYTES for width in widths):
        raise InputError(
            f"backend='hf-grouped-mm' was given {x.dtype} and widths of {', '.join(map(str, sorted(widths)))}; "
            "torch.nn.functional.grouped_mm takes float32, bfloat16 and float16 and strides that are multiples of "
            f"{STRIDE_BYTES} bytes, use another backend."
        )
    out: torch.Tensor = moe.grouped_mm_experts_forward(experts, x, expert, share)
    return out


def run(
    backend: str,
    forward: Forward,
    x: torch.Tensor,
    weight_in: torch.Tensor,
    weight_out: torch.Tensor,
    expert: torch.Tensor,
    share: torch.Tensor,
    activation: str,
    keep: bool,
) -> tuple[torch.Tensor, torch.Tensor]:
    """The outputs of one of the functions above, (N, q), and nothing kept, (0, m); as expert_feedforward.

    Raises InputError where a gradient is wanted, which the package leaves to autograd, for q other than p, and as the
    function does.
    """
    if keep:
        raise InputError(
            f"backend={backend!r} gives no gradients; call it under torch.inference_mode() or torch.no_grad(), or "
            "train with backend='auto'."
        )
    if weight_out.shape[1] != x.shape[1]:
        raise InputError(
            f"backend={backend!r} was given experts from {x.shape[1]} to {weight_out.shape[1]} features; those of the "
            "package give as many as they take, use such sizes or another backend."
        )
    if not expert.is_cuda:
        check_experts(expert, len(weight_in))
    none = expert < 0
    absent = bool(none.any())
    if absent:
        expert, share = expert.masked_fill(none, len(weight_in)), share.masked_fill(none, 0)
    out = forward(Experts(weight_in, weight_out, activation, absent=absent), x, expert, share)
    return out, x.new_empty(0, weight_in.shape[1], dtype=product_dtype(x))
