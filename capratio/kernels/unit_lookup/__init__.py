"""unit_lookup: every input unit scales the sum of the table rows of its own nodes."""

from capratio.kernels.unit_lookup.operation import (
    unit_lookup,
    unit_lookup_input_gradient,
    unit_lookup_touched_gradient,
    unit_lookup_weight_gradient,
)

__all__ = ["unit_lookup", "unit_lookup_input_gradient", "unit_lookup_touched_gradient", "unit_lookup_weight_gradient"]
