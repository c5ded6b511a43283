"""sign_leaf: the leaf that the signs of chosen features lead to."""

from capratio.kernels.sign_leaf.operation import sign_leaf

__all__ = ["sign_leaf"]
