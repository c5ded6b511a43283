"""leaf_index: the leaf that a token's gating bits lead to."""

from capratio.kernels.leaf_index.operation import leaf_index

__all__ = ["leaf_index"]
