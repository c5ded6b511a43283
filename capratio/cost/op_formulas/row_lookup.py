"""The cost of row_lookup: a bag of m rows of a table for every token, each times its share, added up.

A share that scales a row is a product, as an input unit is in unit_lookup: 2 FLOP an element, to scale and to add. Rows
that are added as they are make no product; their adds are overhead, as those of a path are.
"""

from capratio.cost.flop import Flop
from capratio.cost.op_formulas.routing import INDEX_BYTES, touched_rows
from capratio.cost.operation import OperationCost


def row_lookup(tokens: int, features: int, lookups: int, *, shared: bool, itemsize: int) -> OperationCost:
    """The cost of y_n = sum over j of share_nj table[row_nj].

    2Nmd product FLOP (scale, add); without shares N (m - 1) d overhead FLOP (add).

    Args: tokens N, features d, lookups m (rows of a bag): counts. shared: whether there are shares. itemsize: bytes of
    an element.
    """
    vectors = tokens * lookups
    adds = tokens * max(lookups - 1, 0)
    return OperationCost(
        flop=Flop(product=2 * vectors * features) if shared else Flop(overhead=adds * features),
        read_bytes=vectors * (features * itemsize + INDEX_BYTES) + _share_bytes(vectors, shared, itemsize),
        written_bytes=tokens * features * itemsize,
        rows_gathered=vectors,
    )


def row_lookup_share_gradient(tokens: int, features: int, lookups: int, *, itemsize: int) -> OperationCost:
    """The cost of dshare_nj = dy_n . table[row_nj]: 2Nmd product FLOP. Args: as row_lookup."""
    vectors = tokens * lookups
    return OperationCost(
        flop=Flop(product=2 * vectors * features),
        read_bytes=vectors * (features * itemsize + INDEX_BYTES) + tokens * features * itemsize,
        written_bytes=vectors * itemsize,
        rows_gathered=vectors,
    )


def row_lookup_table_gradient(
    tokens: int, features: int, lookups: int, *, rows: int, shared: bool, itemsize: int
) -> OperationCost:
    """The cost of dtable[row_nj] += share_nj dy_n.

    2Nmd product FLOP (scale, add); without shares Nmd overhead FLOP (add).

    Args: as row_lookup; rows: rows of the dense gradient, all of which are written as zeros first.
    """
    vectors = tokens * lookups
    elements = vectors * features
    return OperationCost(
        flop=Flop(product=2 * elements) if shared else Flop(overhead=elements),
        # An add reads the token's gradient and the row, and writes the row.
        read_bytes=2 * elements * itemsize + vectors * INDEX_BYTES + _share_bytes(vectors, shared, itemsize),
        written_bytes=(elements + rows * features) * itemsize,
        rows_gathered=vectors,
    )


def row_lookup_touched_gradient(
    tokens: int, features: int, lookups: int, *, rows: int, shared: bool, itemsize: int
) -> OperationCost:
    """The cost of the visited rows of dtable alone: they are found, then row_lookup_table_gradient of M rows.

    M = min(N m, rows). Args: as row_lookup_table_gradient.
    """
    entries = tokens * lookups
    return touched_rows(entries, rows) + row_lookup_table_gradient(
        tokens, features, lookups, rows=min(entries, rows), shared=shared, itemsize=itemsize
    )


def _share_bytes(vectors: int, shared: bool, itemsize: int) -> int:
    return vectors * itemsize if shared else 0
