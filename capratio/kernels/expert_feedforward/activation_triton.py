"""The activation between an expert's products and its gradient, in Triton: a program a slot, one pass over its row."""

import torch
import triton.language as tl

from capratio.kernels.cuda.compiling_triton import compile_kernel, on_device

# Elements of a row that are loaded at a time: 8 loads of half types a thread of 4 warps, and little waste at 256.
_COLUMNS = 1024
_RELU, _GELU, _SILU = tl.constexpr(0), tl.constexpr(1), tl.constexpr(2)
_CURVES = {"relu": _RELU, "gelu": _GELU, "geglu": _GELU, "swiglu": _SILU}


def activate(before: torch.Tensor, hidden: int, activation: str) -> torch.Tensor:
    """act(z), or act(gate) value of z = (gate, value): (S, m), contiguous -> (S, hidden)."""
    units = before.new_empty(len(before), hidden)
    if units.numel():
        with on_device(before):
            _activate[(len(before),)](
                before,
                units,
                hidden,
                CURVE=_CURVES[activation],
                GATED=before.shape[1] != hidden,
                BLOCK=_COLUMNS,
            )
    return units


def pass_back(
    before: torch.Tensor, grad: torch.Tensor, share: torch.Tensor, activation: str
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The gradients of an activation and of the shares, from the gradient g of unscaled hidden features.

    before: (S, m), what the activation took, grad: (S, h), share: (S,), contiguous. Returns the gradient of what it
    took (S, m), the hidden features times their share (S, h), and the gradient of the shares (S,), in float32.
    """
    to_before, units = torch.empty_like(before), torch.empty_like(grad)
    to_share = grad.new_zeros(len(grad), dtype=torch.float32)
    if units.numel():
        with on_device(before):
            _pass_back[(len(before),)](
                before,
                grad,
                share,
                to_before,
                units,
                to_share,
                grad.shape[1],
                CURVE=_CURVES[activation],
                GATED=before.shape[1] != grad.shape[1],
                BLOCK=_COLUMNS,
            )
    return to_before, units, to_share


@compile_kernel
def _curve(x: tl.tensor, CURVE: tl.constexpr) -> tuple[tl.tensor, tl.tensor]:
    """act(x) and act'(x) of float32."""
    if CURVE == _RELU:
        return tl.where(x < 0, 0.0, x), tl.where(x > 0, 1.0, 0.0)
    if CURVE == _GELU:
        below = 0.5 + 0.5 * tl.erf(x * 0.7071067811865476)
        return x * below, below + x * 0.3989422804014327 * tl.exp(-0.5 * x * x)
    s = tl.sigmoid(x)
    return x * s, s + x * s * (1 - s)


@compile_kernel
def _activate(
    before: tl.tensor,
    units: tl.tensor,
    hidden: tl.tensor,
    CURVE: tl.constexpr,
    GATED: tl.constexpr,
    BLOCK: tl.constexpr,
) -> None:
    slot = tl.program_id(0).to(tl.int64)
    row = before + slot * hidden * (2 if GATED else 1)
    for start in range(0, hidden, BLOCK):
        columns = start + tl.arange(0, BLOCK)
        inside = columns < hidden
        unit, _ = _curve(tl.load(row + columns, mask=inside, other=0.0).to(tl.float32), CURVE)
        if GATED:
            unit *= tl.load(row + hidden + columns, mask=inside, other=0.0).to(tl.float32)
        tl.store(units + slot * hidden + columns, unit.to(units.dtype.element_ty), mask=inside)


@compile_kernel
def _pass_back(
    before: tl.tensor,
    grad: tl.tensor,
    share: tl.tensor,
    to_before: tl.tensor,
    units: tl.tensor,
    to_share: tl.tensor,
    hidden: tl.tensor,
    CURVE: tl.constexpr,
    GATED: tl.constexpr,
    BLOCK: tl.constexpr,
) -> None:
    slot = tl.program_id(0).to(tl.int64)
    row = slot * hidden * (2 if GATED else 1)
    factor = tl.load(share + slot).to(tl.float32)
    sums = tl.zeros((BLOCK,), tl.float32)
    for start in range(0, hidden, BLOCK):
        columns = start + tl.arange(0, BLOCK)
        inside = columns < hidden
        unit, slope = _curve(tl.load(before + row + columns, mask=inside, other=0.0).to(tl.float32), CURVE)
        incoming = tl.load(grad + slot * hidden + columns, mask=inside, other=0.0).to(tl.float32)
        scaled = factor * incoming
        to_gate = scaled * slope
        if GATED:
            value = tl.load(before + row + hidden + columns, mask=inside, other=0.0).to(tl.float32)
            to_value = (scaled * unit).to(to_before.dtype.element_ty)
            tl.store(to_before + row + hidden + columns, to_value, mask=inside)
            to_gate *= value
            unit *= value
        tl.store(to_before + row + columns, to_gate.to(to_before.dtype.element_ty), mask=inside)
        tl.store(units + slot * hidden + columns, (factor * unit).to(units.dtype.element_ty), mask=inside)
        sums += unit * incoming
    tl.store(to_share + slot, tl.sum(sums, axis=0))
