"""The cost of block_linear: every token computes the pairs of its live input and output blocks alone.

Symbols: N tokens, p in_features in B_in blocks of p / B_in, q out_features in B_out blocks of q / B_out. A pair is one
token's live input block with one of its live output blocks; it is a product of 2 (p / B_in) (q / B_out) FLOP, the adds
between input blocks included. Dead blocks are neither multiplied nor added: a mask chooses, which is no FLOP.

Routing, by convention: every bit of a mask is looked at once, N (B_in + B_out), and every pair is put once into the
list of its weight block.
"""

from dataclasses import dataclass

from capratio.cost.flop import Flop
from capratio.cost.op_formulas.routing import BIT_BYTES, INDEX_BYTES
from capratio.cost.operation import OperationCost


@dataclass(frozen=True, slots=True)
class LiveBlocks:
    """What the masks of a batch leave alive; all are counts.

    pairs: the sum over tokens of live input blocks times live output blocks. visited_pairs: weight blocks that any
    token has in a pair, at most B_in B_out.
    """

    tokens: int
    in_blocks: int
    out_blocks: int
    pairs: int
    visited_pairs: int

    @property
    def routing_operations(self) -> int:
        """N (B_in + B_out) bits looked at, and the pairs put into lists."""
        return self.tokens * (self.in_blocks + self.out_blocks) + self.pairs

    @property
    def mask_bytes(self) -> int:
        """Both masks, read once."""
        return self.tokens * (self.in_blocks + self.out_blocks) * BIT_BYTES


def block_linear(live: LiveBlocks, in_features: int, out_features: int, *, itemsize: int) -> OperationCost:
    """The cost of y = ((x M_in) W^T) M_out: 2 (p / B_in) (q / B_out) product FLOP a pair.

    Args: live: of the masks. in_features p, out_features q: counts, multiples of the blocks. itemsize: bytes of an
    element.
    """
    wide, high = in_features // live.in_blocks, out_features // live.out_blocks
    return OperationCost(
        flop=Flop(product=2 * live.pairs * wide * high),
        routing_operations=live.routing_operations,
        # Of every pair an input block, and the sums that are added to; the visited weight blocks; the pairs' lists.
        read_bytes=(live.pairs * (wide + high) + live.visited_pairs * wide * high) * itemsize
        + live.mask_bytes
        + live.pairs * INDEX_BYTES,
        # The sums of every pair, and the output, zeros included; the lists.
        written_bytes=(live.pairs * high + live.tokens * out_features) * itemsize + live.pairs * INDEX_BYTES,
        rows_gathered=live.pairs,
    )


def block_linear_bias(tokens: int, out_features: int, out_blocks: int, *, live: int, itemsize: int) -> OperationCost:
    """The cost of adding a bias to live outputs: q / B_out bias FLOP for each of them.

    Args: tokens N, out_features q, out_blocks B_out: counts. live: the sum over tokens of live output blocks. itemsize:
    bytes of an element.
    """
    outputs = live * (out_features // out_blocks)
    return OperationCost(
        flop=Flop(bias=outputs), read_bytes=(outputs + out_features) * itemsize, written_bytes=outputs * itemsize
    )


def block_linear_input_gradient(
    live: LiveBlocks, in_features: int, out_features: int, *, itemsize: int
) -> OperationCost:
    """The cost of dx = ((dy M_out) W) M_in: as block_linear with inputs and outputs exchanged.

    Args: as block_linear.
    """
    exchanged = LiveBlocks(live.tokens, live.out_blocks, live.in_blocks, live.pairs, live.visited_pairs)
    return block_linear(exchanged, out_features, in_features, itemsize=itemsize)


def block_linear_weight_gradient(
    live: LiveBlocks, in_features: int, out_features: int, *, itemsize: int
) -> OperationCost:
    """The cost of dW = (dy M_out)^T (x M_in): 2 (p / B_in) (q / B_out) product FLOP a pair; all of dW is written first.

    Args: as block_linear.
    """
    zeros = OperationCost(written_bytes=in_features * out_features * itemsize)
    return zeros + block_linear_touched(live, in_features, out_features, itemsize=itemsize)


def block_linear_touched(live: LiveBlocks, in_features: int, out_features: int, *, itemsize: int) -> OperationCost:
    """The cost of the visited blocks of dW alone: as block_linear_weight_gradient without the zeros of the others.

    Args: as block_linear.
    """
    wide, high = in_features // live.in_blocks, out_features // live.out_blocks
    return OperationCost(
        flop=Flop(product=2 * live.pairs * wide * high),
        routing_operations=live.routing_operations,
        # Of every pair a block of x and one of dy; the lists.
        read_bytes=live.pairs * (wide + high) * itemsize + live.mask_bytes + live.pairs * INDEX_BYTES,
        written_bytes=live.visited_pairs * wide * high * itemsize + live.pairs * INDEX_BYTES,
        rows_gathered=2 * live.pairs,
    )


def block_linear_bias_gradient(
    tokens: int, out_features: int, out_blocks: int, *, live: int, visited: int, itemsize: int
) -> OperationCost:
    """The cost of db = the sum over tokens of dy M_out: (n - 1) q / B_out bias FLOP for a block that n > 0 have live.

    Args: as block_linear_bias; visited: output blocks that any token has live. Every bit of M_out is looked at once.
    """
    high = out_features // out_blocks
    return OperationCost(
        flop=Flop(bias=(live - visited) * high),
        routing_operations=tokens * out_blocks,
        read_bytes=live * high * itemsize + tokens * out_blocks * BIT_BYTES,
        written_bytes=out_features * itemsize,
        rows_gathered=live,
    )
