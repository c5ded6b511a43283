"""Which order path_linear runs in: the one that is named, or for ``auto`` the one of least roofline time.

Kernels that form paths in tiles have other costs than those that form whole matrices, so that the choice depends on the
implementation that runs. ``auto`` is decided where the operation runs, since a compiled graph does not know its number
of tokens. A gradient decides as its forward did, for it has the same sizes.
"""

from functools import lru_cache

import torch

from capratio.cost.order import choose_order
from capratio.cost.spec import ORDERS, LayerSpec
from capratio.errors import InputError
from capratio.kernels.backends import AUTO, CPU, resolve_backend


def known_order(order: str) -> str:
    """Return ``order``; raise InputError where it is neither ``auto`` nor one of ``ORDERS``."""
    if order != AUTO and order not in ORDERS:
        raise InputError(f"order={order!r} is not known; it must be one of {AUTO}, {', '.join(ORDERS)}.")
    return order


def forms_in_tiles(backend: str, weight: torch.Tensor) -> bool:
    """Whether the implementation that runs on ``weight`` is that of the compiled CPU kernels.

    Raises InputError for a backend that is not known or cannot run there.
    """
    return weight.device.type == CPU and resolve_backend("path_linear", backend, weight.device, weight.dtype) == CPU


def resolve_order(
    order: str, tokens: int, in_features: int, out_features: int, depth: int, itemsize: int, *, tiled: bool
) -> str:
    """The order that runs, one of ``ORDERS``.

    Args: order: ``auto`` or one of ``ORDERS``. tokens N, in_features p, out_features q, depth k: counts. itemsize:
    bytes of an element. tiled: as ``forms_in_tiles`` says.

    Raises InputError for another order.
    """
    if known_order(order) != AUTO:
        return order
    # Without bits there is one node, and every order multiplies by it.
    return _chosen(tokens, in_features, out_features, depth, itemsize, tiled) if depth else ORDERS[0]


def order_of(order: str, weight: torch.Tensor, bits: torch.Tensor, *, tiled: bool) -> str:
    """As ``resolve_order``, for a table (2^(k+1) - 1, q, p) and bits (N, k)."""
    _, q, p = weight.shape
    return resolve_order(order, len(bits), p, q, bits.shape[1], weight.itemsize, tiled=tiled)


# Choosing takes about as long as the product of one token, so choices are remembered.
@lru_cache(maxsize=1024)
def _chosen(tokens: int, in_features: int, out_features: int, depth: int, itemsize: int, tiled: bool) -> str:
    return choose_order(LayerSpec("tree-shared", in_features, out_features, depth), tokens, itemsize, tiled=tiled)
