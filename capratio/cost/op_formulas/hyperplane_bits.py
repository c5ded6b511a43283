"""The cost of hyperplane_bits: k learned hyperplanes decide a token's bits."""

from capratio.cost.flop import Flop
from capratio.cost.op_formulas.routing import BIT_BYTES
from capratio.cost.operation import OperationCost


def hyperplane_bits(tokens: int, gate_features: int, depth: int, *, itemsize: int) -> OperationCost:
    """The cost of bits = (x W^T > 0): 2Nkh gating FLOP and Nk routing steps (compares).

    Args: tokens N, gate_features h, depth k: counts. itemsize: bytes of an element.
    """
    scores = tokens * depth
    return OperationCost(
        flop=Flop(gating=2 * scores * gate_features),
        routing_operations=scores,
        read_bytes=((tokens + depth) * gate_features + scores) * itemsize,
        written_bytes=scores * itemsize + scores * BIT_BYTES,
    )
