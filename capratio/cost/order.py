"""Which order a path layer runs in: the one of least roofline time whose temporaries fit under a cap.

Forming wins by FLOP, since a batch visits no more leaves than it has tokens; applying nodes wins by bytes where the
matrices that forming works on are too large for a cache.
"""

from math import ceil

from capratio.cost.executed import has_orders
from capratio.cost.op_formulas import path_linear
from capratio.cost.spec import ORDERS, LayerSpec, expected_visited
from capratio.errors import InputError

# FLOP that a machine does while it moves one byte. On the two EPYC cores where this was chosen a float32 product runs
# at 163 GFLOP/s, a long sum reads 32 GB/s (5 FLOP a byte) and one cold 1 MiB matrix 9 GB/s (17); GPUs lie at 10 to 20
# in float32.
NOMINAL_FLOP_PER_BYTE = 10

# What a last-level cache holds: 32 MiB there, 50 MB on an H100. With these two numbers the choice was the fastest of
# the three within noise at 21 points timed there in plain torch (p = q = 128 to 2048, k = 2 to 8, 1 to 4096 tokens).
NOMINAL_CACHE_BYTES = 2**25

# Compiled kernels sum paths a tile at a time, so that no matrix leaves the cache, but never at the speed of one long
# read: of 512 x 512 float32 matrices the sums of k = 7 and 10 took 1.6 to 2.1 times as long as reading their nodes, on
# one thread of an EPYC (Zen 5). With 1.5 the choice was the fastest order, or within a seventh of it, at all 42 points
# of p = q = 256 and 512, k = 4, 7 and 10, 1 to 4096 tokens.
TILED_BYTE_COST = 1.5

# Temporaries of 256 MiB: the 16 partial sums of a depth-16 layer of 2048 x 2048 float32 matrices (16 MiB each) just
# fit, and it is little beside the table of any layer whose matrices are that large.
MEMORY_CAP_BYTES = 2**28


def choose_order(
    spec: LayerSpec, tokens: int, itemsize: int, memory_cap_bytes: int = MEMORY_CAP_BYTES, *, tiled: bool = False
) -> str:
    """The order of least time max(FLOP / balance, bytes) for a forward pass of N tokens with uniform bits.

    Visited nodes are the expected ones, rounded up. Bytes are the visited nodes and the tokens once, where the order's
    working set fits in a cache; else all that its operation reads and writes. Equal times go to fewer FLOP, then to the
    first of ``ORDERS``. Orders whose temporaries exceed the cap are out; where all of them do, the smallest temporaries
    win.

    Args: tokens N: a count. itemsize: bytes of an element. memory_cap_bytes: most bytes of temporaries.
    tiled: whether paths are summed a tile at a time, as compiled CPU kernels do, and not a matrix at a time.

    Raises InputError for a layer without orders, a negative count of tokens, or an itemsize under 1.
    """
    if not has_orders(spec):
        raise InputError(
            f"{spec.layer} ({spec.form}, depth={spec.depth}) has no orders; "
            "only the path form of tree-shared from depth 1 has."
        )
    if tokens < 0 or itemsize < 1:
        raise InputError(f"tokens={tokens} and itemsize={itemsize} were given; they must be at least 0 and 1.")
    temporaries = {order: temporary_bytes(spec, tokens, itemsize, order) for order in ORDERS}
    fitting = [order for order in ORDERS if temporaries[order] <= memory_cap_bytes]
    if not fitting:
        return min(ORDERS, key=temporaries.__getitem__)
    return min(fitting, key=lambda order: nominal_time(spec, tokens, itemsize, order, tiled))


def temporary_bytes(spec: LayerSpec, tokens: int, itemsize: int, order: str) -> int:
    """Bytes of the temporaries that an order adds to the sorted tokens, which all orders hold.

    ``leaves``: one formed matrix. ``prefixes``: a partial sum for each level below the root, k matrices. ``nodes``: the
    outputs of one level, N q.
    """
    matrix = spec.in_features * spec.out_features
    elements = {"leaves": matrix, "prefixes": spec.depth * matrix, "nodes": tokens * spec.out_features}
    return elements[order] * itemsize


def working_set_bytes(spec: LayerSpec, tokens: int, itemsize: int, order: str) -> int:
    """Bytes that an order comes back to, so that they are moved once only if a cache holds them.

    ``leaves``: a path's k + 1 matrices and the formed one. ``prefixes``: k partial sums and the node that is added.
    ``nodes``: the tokens, the outputs and the outputs of one level.
    """
    matrix = spec.in_features * spec.out_features
    elements = {
        "leaves": (spec.depth + 2) * matrix,
        "prefixes": (spec.depth + 1) * matrix,
        "nodes": tokens * (spec.in_features + 2 * spec.out_features),
    }
    return elements[order] * itemsize


def nominal_time(spec: LayerSpec, tokens: int, itemsize: int, order: str, tiled: bool = False) -> tuple[float, int]:
    """The roofline time of an order on the nominal machine, in units of the time to move one byte, and its FLOP."""
    # Rounding up must not pass the most that N tokens can visit.
    expected = enumerate(expected_visited(spec, tokens))
    levels = [min(ceil(count), 2**level, tokens) for level, count in expected]
    p, q = spec.in_features, spec.out_features
    cost = path_linear(tokens, p, q, spec.depth, levels[-1], sum(levels[1:]), order, itemsize=itemsize)
    in_tiles = tiled and order != "nodes"
    moved = float(cost.read_bytes + cost.written_bytes)
    if in_tiles or working_set_bytes(spec, tokens, itemsize, order) <= NOMINAL_CACHE_BYTES:
        node_cost = TILED_BYTE_COST if in_tiles else 1
        moved = (node_cost * sum(levels) * p * q + tokens * (p + q)) * itemsize
    return max(cost.flop.total / NOMINAL_FLOP_PER_BYTE, moved), cost.flop.total
