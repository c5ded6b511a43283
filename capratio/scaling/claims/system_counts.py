"""Claim: a system that is no tree runs, holds and reads what its closed form says."""

from collections.abc import Iterator
from typing import ClassVar

from capratio.cost.systems.contract import Visits
from capratio.cost.systems.table import SYSTEMS
from capratio.records.record import Exact, Point
from capratio.scaling.claims.exact import Check, ExactClaim


class SystemCounts(ExactClaim):
    """What a system runs, holds and reads equals its closed form for what its batch visited, to the integer.

    The closed form is worked out again from the record's sizes, options and visits (experts, assignments, rows, live
    blocks, steps): FLOP by class, routing operations, parameters, and touched parameters, none more than there are.
    """

    id = "system-counts"
    title = "A system's counts are those of its closed form"
    layers: ClassVar[tuple[str, ...]] = tuple(SYSTEMS)

    def checks(self, point: Point, exact: Exact) -> Iterator[Check]:
        """Product FLOP first, then the other classes and counts."""
        if exact.visits is None:
            return
        spec = SYSTEMS[point.layer].from_options(point.in_features, point.out_features, point.options or {})
        visits = Visits(point.tokens, exact.visits)
        executed = spec.executed(visits, point.pass_)
        for name, promised in executed.flop.as_dict().items():
            yield Check(f"{name} FLOP", exact.flop.get(name, 0), promised)
        yield Check("routing operations", exact.routing_operations, executed.routing_operations)
        yield Check("parameters", exact.parameters, spec.parameters)
        touched = spec.touched_parameters(visits)
        yield Check("touched parameters", exact.touched_parameters or 0, min(touched, spec.parameters))
