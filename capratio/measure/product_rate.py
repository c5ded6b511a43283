"""Candidates for the rate of matrix products by dtype; the rate is the largest over shapes."""

from collections.abc import Iterator
from math import prod

import torch

from capratio.errors import InputError
from capratio.measure.clock import Clock
from capratio.measure.probe import Probe, best_rate

PRODUCT = "product"
# (m, k, n): squares, and the shapes of layers (tokens, in, out); which of them is fastest depends on the library.
CPU_SHAPES = ((256, 256, 256), (512, 512, 512), (1024, 512, 512), (1024, 1024, 1024))
CUDA_SHAPES = ((2048, 2048, 2048), (4096, 4096, 4096), (8192, 4096, 4096))
# A dtype that is slower than this share of float32 is emulated; only the smallest shape is asked for, or a probe of
# it would take seconds.
EMULATED_SHARE = 1 / 20
_TINY = (64, 64, 64)
_HALF = (torch.bfloat16, torch.float16)


def product_dtype(name: str) -> torch.dtype:
    """The floating-point dtype of a name such as ``float32``.

    Raises InputError for a name that torch does not know as one.
    """
    dtype = getattr(torch, name, None)
    if not isinstance(dtype, torch.dtype) or not dtype.is_floating_point:
        raise InputError(f"dtype={name!r} was given; a floating-point dtype of torch such as float32 is expected.")
    return dtype


def product_probes(names: tuple[str, ...], device: str, clock: Clock) -> Iterator[Probe]:
    """All candidates for the dtypes that are asked for."""
    for name in names:
        dtype = product_dtype(name)
        shapes: tuple[tuple[int, int, int], ...] = CPU_SHAPES if device == "cpu" else CUDA_SHAPES
        if device == "cpu" and dtype in _HALF and _is_emulated(name, dtype, clock):
            shapes = (_TINY,)
        yield from (_probe(name, dtype, shape, device) for shape in shapes)
        if device == "cpu" and dtype == torch.float32 and torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
            yield from (_onednn_probe(name, shape) for shape in shapes)


def with_float32_as_half(rates: dict[str, float], device: str) -> dict[str, float]:
    """The rates in which half types on the CPU have at least that of float32.

    A product of half matrices may convert them to float32, which costs little beside a large product.
    """
    if device != "cpu" or "float32" not in rates:
        return rates
    half = {str(dtype).removeprefix("torch.") for dtype in _HALF}
    return {name: max(rate, rates["float32"]) if name in half else rate for name, rate in rates.items()}


def _is_emulated(name: str, dtype: torch.dtype, clock: Clock) -> bool:
    own = best_rate(_probe(name, dtype, _TINY, "cpu"), 0.0, clock, lambda: None)
    plain = best_rate(_probe(name, torch.float32, _TINY, "cpu"), 0.0, clock, lambda: None)
    return own < EMULATED_SHARE * plain


def _probe(name: str, dtype: torch.dtype, shape: tuple[int, int, int], device: str) -> Probe:
    left, right = (drawn.to(device, dtype) for drawn in _draw(shape))
    out = torch.empty(len(left), len(right), device=device, dtype=dtype)
    return Probe((PRODUCT, name), 2.0 * prod(shape), lambda: torch.mm(left, right.t(), out=out))


def _onednn_probe(name: str, shape: tuple[int, int, int]) -> Probe:
    """A product by oneDNN, which torch asks for half types: torch's float32 library uses half of AVX-512 on some CPUs.

    One thread of an AMD EPYC (Zen 5), 512 x 512 x 512: torch.mm 120 GFLOP/s, oneDNN 273, in one process.
    """
    left, right = _draw(shape)
    product = torch.ops.mkldnn._linear_pointwise
    return Probe((PRODUCT, name), 2.0 * prod(shape), lambda: product(left, right, None, "none", [], ""))


def _draw(shape: tuple[int, int, int]) -> tuple[torch.Tensor, torch.Tensor]:
    rows, inner, columns = shape
    generator = torch.Generator().manual_seed(0)
    return torch.randn(rows, inner, generator=generator), torch.randn(columns, inner, generator=generator)
