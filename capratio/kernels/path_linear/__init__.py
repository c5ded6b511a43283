"""path_linear: every token multiplied by the sum of its path's matrices."""

from capratio.kernels.path_linear.operation import (
    path_linear,
    path_linear_input_gradient,
    path_linear_touched_gradient,
    path_linear_weight_gradient,
)
from capratio.kernels.path_linear.ordering import forms_in_tiles, known_order, resolve_order

__all__ = [
    "forms_in_tiles",
    "known_order",
    "path_linear",
    "path_linear_input_gradient",
    "path_linear_touched_gradient",
    "path_linear_weight_gradient",
    "resolve_order",
]
