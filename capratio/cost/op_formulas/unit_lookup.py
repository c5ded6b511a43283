"""The cost of unit_lookup: every input unit scales the sum of m rows of a table, and the units are added.

N p vectors of q elements are formed, each from m rows: m = k + 1 of a path, 1 of a collapsed leaf.
"""

from capratio.cost.flop import Flop
from capratio.cost.op_formulas.routing import INDEX_BYTES, touched_rows
from capratio.cost.operation import OperationCost


def unit_lookup(tokens: int, in_features: int, out_features: int, nodes: int, *, itemsize: int) -> OperationCost:
    """The cost of y_n = sum over j of x_nj (sum over m of table[node_njm]).

    2Npq product FLOP (scale by x_nj, add over j) and N p (m - 1) q overhead FLOP (add the path's rows).

    Args: tokens N, in_features p, out_features q, nodes m (rows looked up for a unit): counts. itemsize: bytes of an
    element.
    """
    vectors = tokens * in_features
    return _form_vectors(vectors, out_features, nodes, itemsize) + OperationCost(
        flop=Flop(product=2 * vectors * out_features),
        read_bytes=(vectors * out_features + vectors) * itemsize,
        written_bytes=tokens * out_features * itemsize,
    )


def unit_lookup_input_gradient(
    tokens: int, in_features: int, out_features: int, nodes: int, *, itemsize: int
) -> OperationCost:
    """The cost of dx_nj = dy_n . (sum over m of table[node_njm]): FLOP and arguments as unit_lookup."""
    vectors = tokens * in_features
    return _form_vectors(vectors, out_features, nodes, itemsize) + OperationCost(
        flop=Flop(product=2 * vectors * out_features),
        read_bytes=(vectors * out_features + tokens * out_features) * itemsize,
        written_bytes=vectors * itemsize,
    )


def unit_lookup_weight_gradient(
    tokens: int, in_features: int, out_features: int, nodes: int, *, rows: int, itemsize: int
) -> OperationCost:
    """The cost of dtable[node_njm] += x_nj dy_n: 2Npq product FLOP (scale, first add) and N p (m - 1) q overhead FLOP.

    Args: as unit_lookup; rows: rows of the dense gradient, all of which are written as zeros first.
    """
    vectors = tokens * in_features
    scaled = vectors * out_features
    return OperationCost(
        flop=Flop(product=2 * scaled, overhead=(nodes - 1) * scaled),
        # The scaled vectors are a temporary; each of their m adds reads the vector and the row, and writes the row.
        read_bytes=(vectors + tokens * out_features + 2 * nodes * scaled) * itemsize + vectors * nodes * INDEX_BYTES,
        written_bytes=(scaled + nodes * scaled + rows * out_features) * itemsize,
        rows_gathered=vectors * nodes,
    )


def unit_lookup_touched_gradient(
    tokens: int, in_features: int, out_features: int, nodes: int, *, rows: int, itemsize: int
) -> OperationCost:
    """The cost of the visited rows of dtable alone: they are found, then unit_lookup_weight_gradient of M rows.

    M = min(N p m, rows). Args: as unit_lookup_weight_gradient.
    """
    entries = tokens * in_features * nodes
    found = touched_rows(entries, rows)
    return found + unit_lookup_weight_gradient(
        tokens, in_features, out_features, nodes, rows=min(entries, rows), itemsize=itemsize
    )


def _form_vectors(vectors: int, out_features: int, nodes: int, itemsize: int) -> OperationCost:
    """The cost of summing m rows into each vector: m - 1 adds; rows are read where they lie, sums written once."""
    return OperationCost(
        flop=Flop(overhead=vectors * (nodes - 1) * out_features),
        read_bytes=vectors * nodes * (out_features * itemsize + INDEX_BYTES),
        written_bytes=vectors * out_features * itemsize,
        rows_gathered=vectors * nodes,
    )
