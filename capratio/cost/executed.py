"""What a batch executes, exactly, for the nodes that it visits, so that a count of the running layer must agree."""

from capratio.cost.closed_forms.table import CLOSED_FORMS
from capratio.cost.flop import Flop
from capratio.cost.gates import gate_cost
from capratio.cost.spec import ORDERS, PASSES, LayerSpec, VisitedNodes
from capratio.cost.visited_check import check_visited
from capratio.errors import InputError


def has_orders(spec: LayerSpec) -> bool:
    """Whether the layer can run in more than one order: the path form of shared bits, below depth 0."""
    return spec.layer == "tree-shared" and spec.form == "path" and spec.depth > 0


def executed_flop(spec: LayerSpec, visited: VisitedNodes, pass_: str, order: str | None = None) -> Flop:
    """FLOP by class of one call.

    forward: the layer's products and overhead, gating, and N q to add the bias; decode: forward of one token; train:
    forward, and the gradients to input, weights and bias, of which the bias takes a sum of N terms for each output, (N
    - 1) q. The gate has no gradient.

    Args: visited: the nodes that the batch visits. pass_: one of ``PASSES``. order: one of ``ORDERS`` where the layer
    has orders, else not used.

    Raises InputError for visited nodes that no batch can have, another pass or order, or a decode of other than one
    token.
    """
    order = _checked(spec, visited, pass_, order)
    flop = CLOSED_FORMS[spec.layer].executed(spec, visited, pass_, order).flop + gate_cost(spec, visited.tokens).flop
    return flop + Flop(bias=_bias_flop(visited.tokens, spec.out_features, pass_) if spec.output_bias else 0)


def executed_routing(spec: LayerSpec, tokens: int, pass_: str) -> int:
    """Compares, sort steps and index arithmetic of one call; they depend on tokens and not on the nodes that they
    visit.

    The gate's compares (N k, or N p k of own bits), the leaf and node indices, and a sort in each operation that sorts.

    Args: tokens N: a count. pass_: one of ``PASSES``.

    Raises InputError for another pass, a negative number of tokens, or a decode of other than one token.
    """
    # Any nodes do: those of a batch whose tokens all take one path.
    visited = _single_path(spec, tokens)
    order = _checked(spec, visited, pass_, ORDERS[0])
    executed = CLOSED_FORMS[spec.layer].executed(spec, visited, pass_, order)
    return executed.routing_operations + gate_cost(spec, tokens).routing_operations


def _bias_flop(tokens: int, out_features: int, pass_: str) -> int:
    gradient = max(tokens - 1, 0) if pass_ == "train" else 0
    return (tokens + gradient) * out_features


def _single_path(spec: LayerSpec, tokens: int) -> VisitedNodes:
    return VisitedNodes(tokens, (spec.trees * min(tokens, 1),) * (spec.depth + 1))


def _checked(spec: LayerSpec, visited: VisitedNodes, pass_: str, order: str | None) -> str:
    check_visited(spec, visited)
    if pass_ not in PASSES:
        raise InputError(f"pass={pass_!r} is not known; it must be one of {', '.join(PASSES)}.")
    if pass_ == "decode" and visited.tokens != 1:
        raise InputError(f"{visited.tokens} tokens were given to a decode pass; decode is a forward pass of 1 token.")
    if not has_orders(spec):
        return ORDERS[0]
    if order not in ORDERS:
        raise InputError(f"order={order!r} is not known; {spec.layer} runs in one of {', '.join(ORDERS)}.")
    return order
