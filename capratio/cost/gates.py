"""What a gate costs: its parameters, its index buffer, and the steps that turn values into bits."""

from collections.abc import Sequence

from capratio.cost.closed_forms.contract import ANY_ITEMSIZE, Number
from capratio.cost.flop import Flop
from capratio.cost.op_formulas import hyperplane_bits, tree_descent
from capratio.cost.op_formulas.routing import INDEX_BYTES
from capratio.cost.operation import OperationCost
from capratio.cost.spec import LayerSpec


def gate_parameters(spec: LayerSpec) -> int:
    """Learned elements: k hyperplanes of h features, or k thresholds for each of p units; signs have none.

    A descent to a leaf has 2^k - 1 hyperplanes of p features with an offset; neurons on a path are weights.
    """
    if spec.gate == "descent":
        return (spec.nodes - 1) * _hyperplane(spec)
    return {"signs": 0, "hyperplanes": spec.depth * spec.gate_width, "thresholds": spec.depth * spec.in_features}[
        spec.gate
    ]


def touched_gate_parameters(spec: LayerSpec, levels: Sequence[Number]) -> Number:
    """Those of them that a batch reads: all if it has a token, which visits each tree's root, but of a descent those of
    the visited nodes above the leaves.

    Args: levels: distinct nodes visited at level 0..k, counted or expected.
    """
    if spec.gate == "descent":
        return sum(levels[:-1]) * _hyperplane(spec)
    return levels[0] * (gate_parameters(spec) // spec.trees)


def gate_index_bytes(spec: LayerSpec) -> int:
    """Bytes of the indices of the features that give bits: k of them, or k for each unit.

    A hyperplane reads every feature and has none.
    """
    return 0 if spec.gate in ("hyperplanes", "descent") else spec.trees * spec.depth * INDEX_BYTES


def gate_cost(spec: LayerSpec, tokens: int) -> OperationCost:
    """FLOP and routing of a gate; it has no gradient, so every pass costs the same.

    A compare for each bit: N k, or N p k where bits are the unit's own. Hyperplanes: 2Nkh gating FLOP before them. A
    descent to a leaf: N k (2p + 1); on a path of neurons it is part of their product.
    """
    if spec.gate == "descent":
        if spec.form == "path":
            return OperationCost()
        way = tree_descent(tokens, spec.in_features, spec.depth, itemsize=ANY_ITEMSIZE)
        return OperationCost(way.flop, way.routing_operations)
    if spec.gate == "hyperplanes":
        # Only FLOP and routing are taken, which do not depend on the bytes of an element.
        bits = hyperplane_bits(tokens, spec.gate_width, spec.depth, itemsize=ANY_ITEMSIZE)
        return OperationCost(bits.flop, bits.routing_operations)
    return OperationCost(Flop(), tokens * spec.trees * spec.depth)


def _hyperplane(spec: LayerSpec) -> int:
    """Learned elements of one node's decision."""
    return 0 if spec.form == "path" else spec.in_features + 1
