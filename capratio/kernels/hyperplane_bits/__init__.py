"""hyperplane_bits: on which side of each learned hyperplane a token lies."""

from capratio.kernels.hyperplane_bits.operation import hyperplane_bits

__all__ = ["hyperplane_bits"]
