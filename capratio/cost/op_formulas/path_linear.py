"""The cost of path_linear: every token multiplied by the sum of its path's matrices, in one of three orders.

``leaves``: the matrix of each visited leaf is formed by k adds, then applied. ``prefixes``: sums of shared prefixes are
formed once, so that each visited node below the root is added once. ``nodes``: every node is applied to its tokens and
outputs are added. Forming costs FLOP for a visited node, applying for a token.

Source: own derivation; forming a unit's q-vector by k adds of q elements is Cho & Bengio 2014, arXiv 1406.7362, our
reading.
"""

from capratio.cost.flop import Flop
from capratio.cost.op_formulas.routing import (
    BIT_BYTES,
    INDEX_BYTES,
    leaf_index_operations,
    node_index_operations,
    sort_operations,
    touched_rows,
)
from capratio.cost.operation import OperationCost
from capratio.cost.spec import ORDERS
from capratio.errors import InputError


def path_linear(
    tokens: int,
    in_features: int,
    out_features: int,
    depth: int,
    visited_leaves: int,
    visited_below_root: int,
    order: str,
    *,
    itemsize: int,
) -> OperationCost:
    """The cost of y_n = (sum over l of W[node_l]) x_n.

    Product 2Npq in each order. Overhead: ``leaves`` V k pq; ``prefixes`` V_n pq; ``nodes`` k 2Npq + k N q.
    Routing: leaf index N (2k - 1) and sort N ceil(log2 N).

    Args: tokens N, in_features p, out_features q, depth k, visited_leaves V, visited_below_root V_n: counts.
    order: one of ``ORDERS``. itemsize: bytes of an element.

    Raises InputError for another order.
    """
    matrix = in_features * out_features
    inputs, outputs = tokens * in_features, tokens * out_features
    product = 2 * tokens * matrix
    if order == "nodes":
        overhead = depth * product + depth * outputs
        # Every level reads the sorted tokens and its visited matrices; an add of outputs reads two and writes one.
        root = min(tokens, 1)
        read = (depth + 1) * inputs + (root + visited_below_root) * matrix + 2 * depth * outputs
        written = (2 * depth + 1) * outputs
    else:
        adds = _adds_to_form(order, depth, visited_leaves, visited_below_root)
        overhead = adds * matrix
        # An add of matrices reads two and writes one; the formed matrix of each visited leaf is read by its product.
        read = inputs + (2 * adds + visited_leaves) * matrix
        written = outputs + adds * matrix
    return OperationCost(
        flop=Flop(product=product, overhead=overhead),
        routing_operations=_routing(tokens, depth),
        # Beside them: x is sorted into a copy, and the sorted outputs are put back into the tokens' order.
        read_bytes=(inputs + outputs + read) * itemsize + _index_bytes_read(tokens, depth),
        written_bytes=(inputs + outputs + written) * itemsize + _index_bytes_written(tokens),
        rows_gathered=tokens,
    )


def path_linear_input_gradient(
    tokens: int,
    in_features: int,
    out_features: int,
    depth: int,
    visited_leaves: int,
    visited_below_root: int,
    order: str,
    *,
    itemsize: int,
) -> OperationCost:
    """The cost of dx_n = (sum over l of W[node_l])^T dy_n: as path_linear with p and q exchanged.

    Matrices are formed again; ``nodes`` adds outputs of p elements, so its overhead is k 2Npq + k N p.
    """
    return path_linear(
        tokens, out_features, in_features, depth, visited_leaves, visited_below_root, order, itemsize=itemsize
    )


def path_linear_weight_gradient(
    tokens: int,
    in_features: int,
    out_features: int,
    depth: int,
    visited_leaves: int,
    visited_below_root: int,
    order: str,
    *,
    itemsize: int,
) -> OperationCost:
    """The cost of dW[node_l] += dy_n x_n^T for each token and level, in a dense gradient of 2^(k+1) - 1 rows.

    Product 2Npq in each order. Overhead: ``leaves`` V (k + 1) pq, each visited leaf's gradient is added into its k + 1
    nodes; ``prefixes`` V_n pq, leaf gradients stay in their own rows and each visited node below the root is added into
    its parent; ``nodes`` k 2Npq, a product a level. Routing and arguments as path_linear.

    Raises InputError for another order.
    """
    rows = 2 ** (depth + 1) - 1
    return _table_gradient(
        tokens, in_features, out_features, depth, visited_leaves, visited_below_root, order, rows, itemsize
    )


def path_linear_touched_gradient(
    tokens: int,
    in_features: int,
    out_features: int,
    depth: int,
    visited_leaves: int,
    visited_below_root: int,
    order: str,
    *,
    itemsize: int,
) -> OperationCost:
    """The cost of the visited rows of dW alone: they are found, then path_linear_weight_gradient of M rows.

    M = min(N (k + 1), 2^(k+1) - 1). Routing beside that of path_linear: once more a leaf index, N 2(k + 1) steps to the
    nodes and a sort of those. Arguments as path_linear.

    Raises InputError for another order.
    """
    nodes, rows = tokens * (depth + 1), 2 ** (depth + 1) - 1
    found = touched_rows(nodes, rows) + OperationCost(
        routing_operations=leaf_index_operations(tokens, depth) + node_index_operations(tokens, depth),
        # The bits and the leaf index; the leaf index and the nodes.
        read_bytes=tokens * (depth * BIT_BYTES + INDEX_BYTES),
        written_bytes=(tokens + nodes) * INDEX_BYTES,
    )
    return found + _table_gradient(
        tokens, in_features, out_features, depth, visited_leaves, visited_below_root, order, min(nodes, rows), itemsize
    )


def _table_gradient(
    tokens: int,
    in_features: int,
    out_features: int,
    depth: int,
    visited_leaves: int,
    visited_below_root: int,
    order: str,
    rows: int,
    itemsize: int,
) -> OperationCost:
    """The cost of the nodes' gradients in a table of so many rows."""
    matrix = in_features * out_features
    token_elements = tokens * (in_features + out_features)
    product = 2 * tokens * matrix
    if order == "nodes":
        overhead = depth * product
        read = (depth + 1) * token_elements
        written = (min(tokens, 1) + visited_below_root) * matrix
    else:
        # Adding a leaf's gradient into a node costs what adding a node into a leaf's matrix does, and the root is a
        # node here.
        adds = _adds_to_form(order, depth, visited_leaves, visited_below_root)
        adds += visited_leaves if order == "leaves" else 0
        overhead = adds * matrix
        read = token_elements + 2 * adds * matrix
        written = (visited_leaves + adds) * matrix
    return OperationCost(
        flop=Flop(product=product, overhead=overhead),
        routing_operations=_routing(tokens, depth),
        # Beside them: x and dy are sorted into copies, and the table is written as zeros first.
        read_bytes=(token_elements + read) * itemsize + _index_bytes_read(tokens, depth),
        written_bytes=(token_elements + rows * matrix + written) * itemsize + _index_bytes_written(tokens),
        rows_gathered=2 * tokens,
    )


def _adds_to_form(order: str, depth: int, visited_leaves: int, visited_below_root: int) -> int:
    if order not in ORDERS:
        raise InputError(f"order={order!r} is not known; it must be one of {', '.join(ORDERS)}.")
    return visited_leaves * depth if order == "leaves" else visited_below_root


def _routing(tokens: int, depth: int) -> int:
    return leaf_index_operations(tokens, depth) + sort_operations(tokens)


def _index_bytes_read(tokens: int, depth: int) -> int:
    # The bits, the leaf index by the sort, and the sort's permutation twice.
    return tokens * (depth * BIT_BYTES + 3 * INDEX_BYTES)


def _index_bytes_written(tokens: int) -> int:
    # The leaf index and the sort's permutation.
    return 2 * tokens * INDEX_BYTES
