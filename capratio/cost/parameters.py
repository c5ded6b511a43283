"""How many parameters a layer has, and how many of them a batch touches."""

from collections.abc import Sequence

from capratio.cost.closed_forms.contract import Number
from capratio.cost.closed_forms.table import CLOSED_FORMS
from capratio.cost.gates import gate_parameters, touched_gate_parameters
from capratio.cost.spec import LayerSpec, VisitedNodes, expected_visited
from capratio.cost.visited_check import check_visited
from capratio.errors import InputError


def bias_parameters(spec: LayerSpec) -> int:
    """q with a bias that every output gets, else 0."""
    return spec.out_features if spec.output_bias else 0


def weight_parameters(spec: LayerSpec) -> int:
    """Elements of the weight tables: all learned elements but bias and gate parameters."""
    return CLOSED_FORMS[spec.layer].weight_parameters(spec)


def parameters(spec: LayerSpec) -> int:
    """All learned elements: weight tables, bias, gate parameters."""
    return weight_parameters(spec) + bias_parameters(spec) + gate_parameters(spec)


def touched_weight_parameters(spec: LayerSpec, visited: VisitedNodes) -> int:
    """Elements of the weight tables that the visited nodes hold.

    Raises InputError for visited nodes that no batch can have.
    """
    check_visited(spec, visited)
    return CLOSED_FORMS[spec.layer].touched_weight_parameters(spec, visited.levels)


def touched_parameters(spec: LayerSpec, visited: VisitedNodes) -> int:
    """Learned elements that a batch reads: those of the visited nodes and of the gate, and a bias if it has a token.

    Raises InputError for visited nodes that no batch can have.
    """
    return touched_weight_parameters(spec, visited) + _beside_weights(spec, visited.tokens, visited.levels)


def expected_touched_parameters(spec: LayerSpec, tokens: int) -> float:
    """The expected ``touched_parameters`` when the bits of N tokens are uniform.

    A level of E nodes has E (1 - (1 - 1/E)^N) distinct nodes visited; the expectation of the sum is the sum of
    expectations.

    Raises InputError for a negative number of tokens.
    """
    if tokens < 0:
        raise InputError(f"{tokens} tokens were given; a batch has 0 or more.")
    levels = expected_visited(spec, tokens)
    return CLOSED_FORMS[spec.layer].touched_weight_parameters(spec, levels) + _beside_weights(spec, tokens, levels)


def _beside_weights(spec: LayerSpec, tokens: int, levels: Sequence[Number]) -> Number:
    return touched_gate_parameters(spec, levels) + bias_parameters(spec) * min(tokens, 1)
