"""What a layer should cost: a specification in, exact integers out; no torch."""

from capratio.cost.closed_form import Cost, closed_form
from capratio.cost.compulsory import compulsory_bytes
from capratio.cost.executed import executed_flop, executed_routing, has_orders
from capratio.cost.flop import Flop
from capratio.cost.operation import OperationCost, OperationFormula
from capratio.cost.order import choose_order
from capratio.cost.parameters import expected_touched_parameters, touched_parameters, touched_weight_parameters
from capratio.cost.promise import Promise, promise
from capratio.cost.roofline import Ceilings, RooflineLimit, limit
from capratio.cost.spec import LayerSpec, VisitedNodes
from capratio.cost.systems.contract import SystemSpec, Visits

__all__ = [
    "Ceilings",
    "Cost",
    "Flop",
    "LayerSpec",
    "OperationCost",
    "OperationFormula",
    "Promise",
    "RooflineLimit",
    "SystemSpec",
    "VisitedNodes",
    "Visits",
    "choose_order",
    "closed_form",
    "compulsory_bytes",
    "executed_flop",
    "executed_routing",
    "expected_touched_parameters",
    "has_orders",
    "limit",
    "promise",
    "touched_parameters",
    "touched_weight_parameters",
]
