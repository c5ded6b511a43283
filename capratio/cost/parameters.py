"""How many parameters a layer has, and how many of them a batch touches."""

from capratio.cost.closed_forms.table import CLOSED_FORMS
from capratio.cost.gates import gate_parameters
from capratio.cost.spec import LayerSpec, VisitedNodes, expected_visited
from capratio.cost.visited_check import check_visited
from capratio.errors import InputError


def bias_parameters(spec: LayerSpec) -> int:
    """q with a bias, else 0."""
    return spec.out_features if spec.bias else 0


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
    """Learned elements that a batch reads: those of the visited nodes, and bias and gate parameters if it has a token.

    Raises InputError for visited nodes that no batch can have.
    """
    return touched_weight_parameters(spec, visited) + _always_read(spec, visited.tokens)


def expected_touched_parameters(spec: LayerSpec, tokens: int) -> float:
    """The expected ``touched_parameters`` when the bits of N tokens are uniform.

    A level of E nodes has E (1 - (1 - 1/E)^N) distinct nodes visited; the expectation of the sum is the sum of
    expectations.

    Raises InputError for a negative number of tokens.
    """
    if tokens < 0:
        raise InputError(f"{tokens} tokens were given; a batch has 0 or more.")
    levels = expected_visited(spec, tokens)
    return CLOSED_FORMS[spec.layer].touched_weight_parameters(spec, levels) + _always_read(spec, tokens)


def _always_read(spec: LayerSpec, tokens: int) -> int:
    return (bias_parameters(spec) + gate_parameters(spec)) * min(tokens, 1)
