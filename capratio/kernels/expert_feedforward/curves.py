"""Activations and their slopes along rows, compiled into the CPU kernels.

Those of float32 are sums and products, which LLVM vectorises: calls of a library's exp and erf, which float64 takes,
are one element at a time, and would outlast the matrix products around them.
"""

import math
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, overload

from capratio.kernels.cpu.compiling import compile_tile

# The activations as numbers, so that one compiled kernel serves all.
RELU, GELU, GEGLU, SWIGLU = range(4)
CODES = {"relu": RELU, "gelu": GELU, "geglu": GEGLU, "swiglu": SWIGLU}

_LOG2_E = np.float32(math.log2(math.e))
# Exponents of the smallest float32 that is not subnormal, and of infinity.
_LEAST, _MOST = np.float32(-126), np.float32(128)
# 2^f = sum of (f ln 2)^i / i! for f in -1/2..1/2: the first term that is left out is below 1e-8.
_E0, _E1, _E2, _E3, _E4, _E5, _E6, _E7 = (np.float32(math.log(2) ** i / math.factorial(i)) for i in range(8))
# ln(erfc(u) exp(u^2) / t) as a polynomial of t = 1 / (1 + u / 2), for u in 0..10: fitted by least squares in float64 at
# 4000 Chebyshev nodes, with a largest error of 2.5e-7.
_T0, _T1, _T2, _T3, _T4, _T5, _T6, _T7, _T8 = (
    np.float32(value)
    for value in (
        -1.2651856685,
        0.9928496493,
        0.4402657230,
        -0.2403593384,
        0.8628827000,
        -1.7975485646,
        1.4890868837,
        -0.5620479963,
        0.0800564443,
    )
)
_ONE, _HALF, _ROOT_HALF = np.float32(1), np.float32(0.5), np.float32(math.sqrt(0.5))
_DENSITY = 1 / math.sqrt(2 * math.pi)


def exponential(x: Any) -> Any:
    """exp(x) of a float64, or of a float32 within 1e-6 of itself, never below 1e-38."""
    raise NotImplementedError("exponential is compiled by numba, and runs nowhere else.")


@overload(exponential)
def _exponential(x: Any) -> Any:
    return _wide_exponential if x == types.float32 else _library_exponential


def _library_exponential(x: Any) -> Any:
    return math.exp(x)


def _wide_exponential(x: Any) -> Any:
    power = min(max(x * _LOG2_E, _LEAST), _MOST)
    whole = _nearest(power)
    f = power - whole
    return _two_to_the(whole) * (_E0 + f * (_E1 + f * (_E2 + f * (_E3 + f * (_E4 + f * (_E5 + f * (_E6 + f * _E7)))))))


def normal_below(x: Any) -> Any:
    """Φ(x) = (1 + erf(x / √2)) / 2, the share of a normal distribution below x; of a float32 within 3e-7."""
    raise NotImplementedError("normal_below is compiled by numba, and runs nowhere else.")


@overload(normal_below)
def _normal_below(x: Any) -> Any:
    return _narrow_normal if x == types.float32 else _library_normal


def _library_normal(x: Any) -> Any:
    return 0.5 * math.erfc(-x * math.sqrt(0.5))


def _narrow_normal(x: Any) -> Any:
    u = abs(x) * _ROOT_HALF
    t = quotient(_ONE, _ONE + _HALF * u)
    p = _T0 + t * (_T1 + t * (_T2 + t * (_T3 + t * (_T4 + t * (_T5 + t * (_T6 + t * (_T7 + t * _T8)))))))
    beyond = _HALF * t * exponential(p - u * u)
    return beyond if x < 0 else _ONE - beyond


def _nearest_of(typing_context: Any, x: Any) -> Any:
    """The nearest whole number of a float32, as a float32."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        single = ir.FloatType()
        kind = ir.FunctionType(single, [single])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.rint.f32")  # type: ignore[no-untyped-call]
        return builder.call(function, arguments)

    return types.float32(types.float32), generate


def _power_of_two(typing_context: Any, whole: Any) -> Any:
    """2 to a whole number of float32, -126..128, of which the last is infinity: its bits are the exponent's alone."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        word = ir.IntType(32)
        exponent = builder.add(builder.fptosi(arguments[0], word), ir.Constant(word, _BIAS))
        return builder.bitcast(builder.shl(exponent, ir.Constant(word, _MANTISSA_BITS)), ir.FloatType())

    return types.float32(types.float32), generate


def _quotient_of(typing_context: Any, upper: Any, lower: Any) -> Any:
    """upper / lower without numba's question whether that is zero, which keeps loops from being vectorised."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.fdiv(*arguments)

    return upper(upper, upper), generate


_BIAS, _MANTISSA_BITS = 127, 23
quotient: Any = intrinsic(_quotient_of)
_nearest: Any = intrinsic(_nearest_of)
_two_to_the: Any = intrinsic(_power_of_two)


@compile_tile
def activate(code: Any, gate: Any, value: Any, out: Any) -> None:
    """out = act(gate), or act(gate) value of a gated activation, which alone reads the value: all (n,)."""
    one, zero = out.dtype.type(1), out.dtype.type(0)
    if code == RELU:
        for j in range(out.shape[0]):
            out[j] = zero if gate[j] < zero else gate[j]
    elif code == GELU:
        for j in range(out.shape[0]):
            out[j] = gate[j] * normal_below(gate[j])
    elif code == GEGLU:
        for j in range(out.shape[0]):
            out[j] = gate[j] * normal_below(gate[j]) * value[j]
    else:
        for j in range(out.shape[0]):
            out[j] = quotient(gate[j] * value[j], one + exponential(-gate[j]))


@compile_tile
def slopes(code: Any, gate: Any, curve: Any, slope: Any) -> None:
    """curve = act(gate), slope = act'(gate): all (n,)."""
    one, zero, half, density = (
        curve.dtype.type(1),
        curve.dtype.type(0),
        curve.dtype.type(0.5),
        curve.dtype.type(_DENSITY),
    )
    if code == RELU:
        for j in range(curve.shape[0]):
            curve[j] = zero if gate[j] < zero else gate[j]
            slope[j] = one if gate[j] > zero else zero
    elif code == SWIGLU:
        for j in range(curve.shape[0]):
            s = quotient(one, one + exponential(-gate[j]))
            curve[j] = gate[j] * s
            slope[j] = s + gate[j] * s * (one - s)
    else:
        for j in range(curve.shape[0]):
            x = gate[j]
            below = normal_below(x)
            curve[j] = x * below
            slope[j] = below + x * density * exponential(-half * x * x)
