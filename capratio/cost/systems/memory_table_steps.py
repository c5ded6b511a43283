"""The steps of memory tables one by one: what finds entries, what takes them in, and the gradients of both."""

from dataclasses import dataclass

from capratio.cost import op_formulas
from capratio.cost.closed_forms.contract import ANY_ITEMSIZE
from capratio.cost.flop import Flop
from capratio.cost.operation import OperationCost


@dataclass(frozen=True, slots=True)
class TableSizes:
    """The sizes of one call.

    tokens N, visited (distinct entries), in_features p, entry_features w, tables T, entries E of a table, lookups m of
    a token, bits and projections of one table's hash, rank r: counts. shared: whether entries are scaled by shares.
    touched: whether the gradient of added entries is that of the visited alone.
    """

    tokens: int
    visited: int
    in_features: int
    entry_features: int
    tables: int
    entries: int
    lookups: int
    bits: int
    projections: int
    rank: int
    shared: bool
    touched: bool


def lookup_cost(lookup: str, sizes: TableSizes, train: bool) -> OperationCost:
    """The cost of finding m rows of the tables for each token, and, to train, of the gradient to x that goes this way.

    Beside the steps of the look-up: an add for each row, by which tables lie behind one another, where there are
    several.
    """
    offsets = OperationCost(routing_operations=sizes.tokens * sizes.lookups if sizes.tables > 1 else 0)
    found = _FOUND[lookup](sizes) + offsets
    return found + _router_gradient(sizes) if train and sizes.shared else found


def consumption_cost(consumption: str, sizes: TableSizes, train: bool) -> OperationCost:
    """The cost of taking rows in, and, to train, of the gradients to tables, shares and x.

    x is used as it is, by an expert, and by a router: its gradients are added, p adds a token for each but the first.
    """
    taken = _TAKEN[consumption](sizes)
    if not train:
        return taken
    further_uses = (consumption == "expert") + sizes.shared
    joined = _overhead(further_uses * sizes.tokens * sizes.in_features)
    return taken + joined + (_expert_gradients(sizes) if consumption == "expert" else _rows_gradients(sizes))


def _by_id(sizes: TableSizes) -> OperationCost:
    return OperationCost()


def _by_signs(sizes: TableSizes) -> OperationCost:
    """2 N T m p gating FLOP and N T m compares; N T (2m - 1) steps from signs to a number."""
    projections = sizes.tables * sizes.bits
    signs = op_formulas.hyperplane_bits(sizes.tokens, sizes.in_features, projections, itemsize=ANY_ITEMSIZE)
    return signs + op_formulas.leaf_index(sizes.tokens * sizes.tables, sizes.bits)


def _by_steps(sizes: TableSizes) -> OperationCost:
    """2 N T P p gating FLOP; to add b and divide by the width, 2 N T P overhead FLOP.

    Routing: each projection is rounded down and multiplied, all P are added (P - 1) and a remainder taken: 3 N T P.
    """
    projections = sizes.tables * sizes.projections
    values = sizes.tokens * projections
    scores = op_formulas.router_logits(sizes.tokens, sizes.in_features, projections, itemsize=ANY_ITEMSIZE)
    return scores + OperationCost(Flop(overhead=2 * values), 3 * values)


def _by_softmax(sizes: TableSizes) -> OperationCost:
    """2 N T E p gating FLOP; a softmax of E scores is 4E - 1 overhead FLOP and E - 1 compares, the choice a sort."""
    choices, entries = sizes.tokens * sizes.tables, sizes.entries
    scores = op_formulas.router_logits(sizes.tokens, sizes.in_features, sizes.tables * entries, itemsize=ANY_ITEMSIZE)
    compares = entries - 1 + op_formulas.sort_operations(entries)
    return scores + OperationCost(Flop(overhead=choices * (4 * entries - 1)), choices * compares)


def _router_gradient(sizes: TableSizes) -> OperationCost:
    """The shares' gradients are put in place (N m adds), through the softmax (4E - 1), to x and to the router."""
    choices = sizes.tokens * sizes.tables
    product = op_formulas.router_logits(
        sizes.tokens, sizes.in_features, sizes.tables * sizes.entries, itemsize=ANY_ITEMSIZE
    )
    return _overhead(sizes.tokens * sizes.lookups + choices * (4 * sizes.entries - 1)) + product + product


def _added(sizes: TableSizes) -> OperationCost:
    """The rows' sum, and N p adds to x."""
    return _concatenated(sizes) + _overhead(sizes.tokens * sizes.in_features)


def _concatenated(sizes: TableSizes) -> OperationCost:
    """The rows' sum; putting it behind x is no arithmetic."""
    return op_formulas.row_lookup(
        sizes.tokens, sizes.entry_features, sizes.lookups, shared=sizes.shared, itemsize=ANY_ITEMSIZE
    )


def _expert(sizes: TableSizes) -> OperationCost:
    """The networks of a token's experts and their sum, and N p adds to x."""
    assignments = sizes.tokens * sizes.lookups
    networks = op_formulas.expert_feedforward(
        sizes.tokens,
        sizes.in_features,
        sizes.entry_features,
        sizes.rank,
        "relu",
        slots=assignments,
        assignments=assignments,
        visited=sizes.visited,
        itemsize=ANY_ITEMSIZE,
    )
    return networks + _overhead(sizes.tokens * sizes.in_features)


def _rows_gradients(sizes: TableSizes) -> OperationCost:
    """To the table, all of it or the visited rows with their search; and to the shares, where there are any."""
    given = sizes.tokens, sizes.entry_features, sizes.lookups
    rows, places = sizes.tables * sizes.entries, sizes.tokens * sizes.lookups
    if sizes.touched:
        cost = op_formulas.row_lookup_touched_gradient(*given, rows=rows, shared=sizes.shared, itemsize=ANY_ITEMSIZE)
        cost += OperationCost(routing_operations=op_formulas.sparse_table_operations(places, rows, own_trees=False))
    else:
        cost = op_formulas.row_lookup_table_gradient(*given, rows=rows, shared=sizes.shared, itemsize=ANY_ITEMSIZE)
    return cost + op_formulas.row_lookup_share_gradient(*given, itemsize=ANY_ITEMSIZE) if sizes.shared else cost


def _expert_gradients(sizes: TableSizes) -> OperationCost:
    assignments = sizes.tokens * sizes.lookups
    return op_formulas.expert_feedforward_gradients(
        sizes.tokens,
        sizes.in_features,
        sizes.entry_features,
        sizes.rank,
        "relu",
        slots=assignments,
        assignments=assignments,
        visited=sizes.visited,
        experts=sizes.tables * sizes.entries,
        itemsize=ANY_ITEMSIZE,
    )


def _overhead(flop: int) -> OperationCost:
    return OperationCost(Flop(overhead=flop))


_FOUND = {"ids": _by_id, "sign-lsh": _by_signs, "euclidean-lsh": _by_steps, "softmax": _by_softmax}
_TAKEN = {"add": _added, "concat": _concatenated, "expert": _expert}
