"""Steps of routing: sorting tokens and computing indices, which are operations and not FLOP."""

from capratio.cost.operation import OperationCost

# Bytes of one index (int64, torch's index dtype) and of one gating bit (torch.bool).
INDEX_BYTES = 8
BIT_BYTES = 1


def sort_operations(tokens: int) -> int:
    """Steps of sorting N keys, by convention N ceil(log2 N); a batch of one token or none costs nothing.

    Source: own convention, the number of compares of a merge sort rounded up to whole levels.
    """
    return tokens * (tokens - 1).bit_length() if tokens > 1 else 0


def leaf_index_operations(patterns: int, depth: int) -> int:
    """Steps of turning bits into leaves, for each pattern k multiplies by powers of 2 and k - 1 adds: 2k - 1, 0 at k =
    0.

    Args: patterns: bit patterns (N tokens, or N p where each unit has its own). depth: bits of a pattern.
    """
    return patterns * max(2 * depth - 1, 0)


def node_index_operations(patterns: int, depth: int) -> int:
    """Steps of turning leaves into their path's nodes, one shift and one add a level: 2 (k + 1) for each pattern.

    Args: patterns: bit patterns (N tokens, or N p where each unit has its own). depth: bits of a pattern.
    """
    return patterns * 2 * (depth + 1)


def leaf_index(patterns: int, depth: int) -> OperationCost:
    """The cost of the leaves of bit patterns: 2k - 1 routing steps each.

    Args: patterns: bit patterns. depth: bits of a pattern.
    """
    return OperationCost(
        routing_operations=leaf_index_operations(patterns, depth),
        read_bytes=patterns * depth * BIT_BYTES,
        written_bytes=patterns * INDEX_BYTES,
    )


def sign_leaf(patterns: int, depth: int, *, itemsize: int) -> OperationCost:
    """The cost of the leaves of signs: k compares and 2k - 1 steps for each pattern; k values and indices are read.

    Args: patterns: bit patterns. depth: bits of a pattern. itemsize: bytes of a value.
    """
    return OperationCost(
        routing_operations=patterns * depth + leaf_index_operations(patterns, depth),
        read_bytes=patterns * depth * (itemsize + INDEX_BYTES),
        written_bytes=patterns * INDEX_BYTES,
    )


def tree_route(tokens: int, depth: int, *, itemsize: int) -> OperationCost:
    """The cost of leaves, tokens sorted by leaf, and where each leaf's tokens begin.

    Nk compares, N (2k - 1) steps to the leaves, N ceil(log2 N) to sort.

    Args: tokens N, depth k: counts. itemsize: bytes of a gating value.
    """
    groups = min(tokens, 2**depth)
    return OperationCost(
        routing_operations=tokens * depth + leaf_index_operations(tokens, depth) + sort_operations(tokens),
        # The values; the leaf by the sort, the order and the leaf by the search for starts.
        read_bytes=tokens * depth * itemsize + 3 * tokens * INDEX_BYTES,
        written_bytes=(2 * tokens + groups + 1) * INDEX_BYTES,
    )


def touched_rows(entries: int, rows: int) -> OperationCost:
    """The cost of the distinct rows among so many entries: a sort, E ceil(log2 E).

    Args: entries E, rows (of the table): counts.
    """
    return OperationCost(
        routing_operations=sort_operations(entries),
        read_bytes=entries * INDEX_BYTES,
        # Where each entry's row stands among them, and the rows, padded.
        written_bytes=(entries + min(entries, rows)) * INDEX_BYTES,
    )


def sparse_table_operations(entries: int, rows: int, *, own_trees: bool) -> int:
    """Steps of turning padded rows into a sparse tensor's indices: a search for the padding among M = min(E, rows).

    Where units have trees of their own, a division and a remainder for each of the M rows too, to the unit and its row.
    """
    most = min(entries, rows)
    return most.bit_length() + (2 * most if own_trees else 0)
