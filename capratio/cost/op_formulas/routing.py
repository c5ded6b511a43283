"""Steps of routing: sorting tokens and computing indices, which are operations and not FLOP."""

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
