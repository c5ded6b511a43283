"""What a gate costs: its parameters, its index buffer, and the steps that turn values into bits."""

from capratio.cost.flop import Flop
from capratio.cost.op_formulas import hyperplane_bits
from capratio.cost.op_formulas.routing import INDEX_BYTES
from capratio.cost.operation import OperationCost
from capratio.cost.spec import LayerSpec


def gate_parameters(spec: LayerSpec) -> int:
    """Learned elements: k hyperplanes of h features, or k thresholds for each of p units; signs have none."""
    return {"signs": 0, "hyperplanes": spec.depth * spec.gate_width, "thresholds": spec.depth * spec.in_features}[
        spec.gate
    ]


def gate_index_bytes(spec: LayerSpec) -> int:
    """Bytes of the indices of the features that give bits: k of them, or k for each unit.

    A hyperplane reads every feature and has none.
    """
    return 0 if spec.gate == "hyperplanes" else spec.trees * spec.depth * INDEX_BYTES


def gate_cost(spec: LayerSpec, tokens: int) -> OperationCost:
    """FLOP and routing of a gate; it has no gradient, so every pass costs the same.

    A compare for each bit: N k, or N p k where bits are the unit's own. Hyperplanes: 2Nkh gating FLOP before them.
    """
    if spec.gate == "hyperplanes":
        # Only FLOP and routing are taken, which do not depend on the bytes of an element.
        bits = hyperplane_bits(tokens, spec.gate_width, spec.depth, itemsize=1)
        return OperationCost(bits.flop, bits.routing_operations)
    return OperationCost(Flop(), tokens * spec.trees * spec.depth)
