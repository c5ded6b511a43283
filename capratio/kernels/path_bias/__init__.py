"""path_bias: the vectors of a path's nodes added to a base."""

from capratio.kernels.path_bias.operation import (
    add_path_bias,
    path_bias,
    path_bias_table_gradient,
    path_bias_touched_gradient,
)

__all__ = ["add_path_bias", "path_bias", "path_bias_table_gradient", "path_bias_touched_gradient"]
