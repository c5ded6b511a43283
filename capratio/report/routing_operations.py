"""Which of a call's operations decide where tokens go: the counter's compares of an activation do not."""

from typing import TYPE_CHECKING

from capratio.cost.closed_forms.fast_feedforward import relu_compares
from capratio.cost.spec import HIDDEN
from capratio.cost.systems.contract import Visits
from capratio.cost.systems.table import SYSTEMS

if TYPE_CHECKING:
    from capratio.records.record import Exact, Point


def routing_of(point: "Point", exact: "Exact") -> int:
    """Gating FLOP and routing operations of a call, without the compares of relu."""
    return exact.flop.get("gating", 0) + exact.routing_operations - _activation_compares(point, exact)


def _activation_compares(point: "Point", exact: "Exact") -> int:
    options = point.options or {}
    if point.layer in SYSTEMS and exact.visits is not None:
        spec = SYSTEMS[point.layer].from_options(point.in_features, point.out_features, options)
        return spec.activation_compares(Visits(point.tokens, exact.visits), point.pass_)
    if point.layer == "fast-feedforward" and point.form == "leaf":
        return relu_compares(point.tokens, int(options.get("hidden", HIDDEN)), point.pass_ == "train")
    return 0
