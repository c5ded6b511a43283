"""leaf_linear: every token multiplied by the stored matrix of its leaf."""

from capratio.kernels.leaf_linear.operation import (
    leaf_linear,
    leaf_linear_input_gradient,
    leaf_linear_touched_gradient,
    leaf_linear_weight_gradient,
)

__all__ = ["leaf_linear", "leaf_linear_input_gradient", "leaf_linear_touched_gradient", "leaf_linear_weight_gradient"]
