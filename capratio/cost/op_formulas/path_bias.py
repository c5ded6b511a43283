"""The cost of path_bias: the vectors of a path's k + 1 nodes added to a base, for every token."""

from capratio.cost.flop import Flop
from capratio.cost.op_formulas.routing import INDEX_BYTES, node_index_operations, touched_rows
from capratio.cost.operation import OperationCost


def path_bias(tokens: int, out_features: int, depth: int, *, itemsize: int) -> OperationCost:
    """The cost of base_n + sum over l = 0..k of table[node_l]: N (k + 1) q overhead FLOP, 2N (k + 1) routing steps.

    Args: tokens N, out_features q, depth k: counts. itemsize: bytes of an element.
    """
    vectors = tokens * (depth + 1)
    elements = vectors * out_features
    return OperationCost(
        flop=Flop(overhead=elements),
        routing_operations=node_index_operations(tokens, depth),
        # A path's rows are read where they lie and summed into a temporary, which is added to the base.
        read_bytes=(elements + 2 * tokens * out_features) * itemsize + (tokens + vectors) * INDEX_BYTES,
        written_bytes=2 * tokens * out_features * itemsize + vectors * INDEX_BYTES,
        rows_gathered=vectors,
    )


def path_bias_table_gradient(tokens: int, out_features: int, depth: int, *, rows: int, itemsize: int) -> OperationCost:
    """The cost of dtable[node_l] += dy_n for l = 0..k: N (k + 1) q overhead FLOP, 2N (k + 1) routing steps.

    Args: as path_bias; rows: rows of the dense gradient, all of which are written as zeros first.
    """
    vectors = tokens * (depth + 1)
    elements = vectors * out_features
    return OperationCost(
        flop=Flop(overhead=elements),
        routing_operations=node_index_operations(tokens, depth),
        # An add reads the token's gradient and the row, and writes the row.
        read_bytes=2 * elements * itemsize + (tokens + vectors) * INDEX_BYTES,
        written_bytes=(elements + rows * out_features) * itemsize + vectors * INDEX_BYTES,
        rows_gathered=vectors,
    )


def path_bias_touched_gradient(tokens: int, out_features: int, depth: int, *, itemsize: int) -> OperationCost:
    """The cost of the visited rows of dtable alone: they are found, then path_bias_table_gradient of M rows.

    M = min(N (k + 1), 2^(k+1) - 1). Args: as path_bias.
    """
    vectors, rows = tokens * (depth + 1), 2 ** (depth + 1) - 1
    found = touched_rows(vectors, rows)
    return found + path_bias_table_gradient(tokens, out_features, depth, rows=min(vectors, rows), itemsize=itemsize)
