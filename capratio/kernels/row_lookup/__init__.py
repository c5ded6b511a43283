"""row_lookup: each token's bag of table rows, added up by their shares."""

from capratio.kernels.row_lookup.operation import (
    row_lookup,
    row_lookup_share_gradient,
    row_lookup_table_gradient,
    row_lookup_touched_gradient,
)

__all__ = ["row_lookup", "row_lookup_share_gradient", "row_lookup_table_gradient", "row_lookup_touched_gradient"]
