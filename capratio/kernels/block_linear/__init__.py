"""block_linear: products of each token's live blocks alone."""

from capratio.kernels.block_linear.operation import (
    block_linear,
    block_linear_bias_gradient,
    block_linear_input_gradient,
    block_linear_touched,
    block_linear_weight_gradient,
    live_blocks,
)

__all__ = [
    "block_linear",
    "block_linear_bias_gradient",
    "block_linear_input_gradient",
    "block_linear_touched",
    "block_linear_weight_gradient",
    "live_blocks",
]
