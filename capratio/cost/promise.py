"""What a closed form promises of one batch, exactly: of a tree by its nodes, of another system by its visits."""

from dataclasses import dataclass

from capratio.cost.closed_form import Cost, closed_form
from capratio.cost.compulsory import compulsory_bytes
from capratio.cost.executed import executed_flop
from capratio.cost.flop import Flop
from capratio.cost.parameters import expected_touched_parameters, touched_parameters
from capratio.cost.spec import LayerSpec, VisitedNodes, expected_visited
from capratio.cost.systems.contract import SystemSpec, Visits


@dataclass(frozen=True, slots=True)
class Promise:
    """One batch of a layer.

    law: the cost of one token. flop: what the batch executes. touched_parameters: what it reads;
    expected_touched_parameters: under uniform routing. compulsory_bytes: what must cross the memory interface.
    levels: of a tree, distinct nodes at level 0..k; counts: of another system, its visits by name; expected_levels,
    expected_counts: the same under uniform routing.
    """

    law: Cost
    flop: Flop
    touched_parameters: int
    expected_touched_parameters: float
    compulsory_bytes: int
    levels: tuple[int, ...] | None = None
    expected_levels: tuple[float, ...] | None = None
    counts: dict[str, int] | None = None
    expected_counts: dict[str, float] | None = None


def promise(
    spec: LayerSpec | SystemSpec, visited: VisitedNodes | Visits, pass_: str, order: str | None, itemsize: int
) -> Promise:
    """What one call must execute, hold and move.

    Args: visited: the nodes of a tree, the visits of another system. pass_: one of ``PASSES``. order: of a tree that
    has orders. itemsize: bytes of an element.

    Raises InputError for visited nodes that no batch can have, or another pass or order.
    """
    if isinstance(spec, SystemSpec):
        assert isinstance(visited, Visits)
        return Promise(
            law=closed_form(spec),
            flop=spec.executed(visited, pass_).flop,
            touched_parameters=spec.touched_parameters(visited),
            expected_touched_parameters=spec.expected_touched_parameters(visited.tokens),
            compulsory_bytes=spec.compulsory_bytes(visited, pass_, itemsize),
            counts=dict(visited.counts),
            expected_counts=spec.expected_counts(visited.tokens),
        )
    assert isinstance(visited, VisitedNodes)
    return Promise(
        law=closed_form(spec),
        flop=executed_flop(spec, visited, pass_, order),
        touched_parameters=touched_parameters(spec, visited),
        expected_touched_parameters=expected_touched_parameters(spec, visited.tokens),
        compulsory_bytes=compulsory_bytes(spec, visited, pass_, itemsize),
        levels=visited.levels,
        expected_levels=expected_visited(spec, visited.tokens),
    )
