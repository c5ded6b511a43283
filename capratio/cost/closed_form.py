"""The law of a layer: what one token costs in the paper's accounting, and what it buys in parameters."""

from dataclasses import dataclass
from fractions import Fraction

from capratio.cost.closed_forms.table import CLOSED_FORMS
from capratio.cost.executed import executed_routing, has_orders
from capratio.cost.flop import Flop
from capratio.cost.gates import gate_cost
from capratio.cost.parameters import parameters, touched_parameters, weight_parameters
from capratio.cost.spec import ORDERS, LayerSpec, one_token
from capratio.cost.systems.contract import SystemSpec, defaults
from capratio.errors import InputError


@dataclass(frozen=True, slots=True)
class Cost:
    """What a token costs, and what the layer holds.

    spec: the layer. order: the accounting of the path (``leaves`` and ``prefixes`` are the same for one token), None
    where the layer has no orders. flop: FLOP by class, of ``tokens`` tokens. routing_operations: compares and index
    steps of as many. parameters: all learned elements. weight_parameters: without bias and gate parameters.
    touched_parameters: those that are read. overhead_flop_per_unit: of a tree, overhead FLOP of one input unit (of the
    token, where no unit has a tree of its own). tokens: 1, or as many as share what only one of them computes.
    """

    spec: LayerSpec | SystemSpec
    order: str | None
    flop: Flop
    routing_operations: int
    parameters: int
    weight_parameters: int
    touched_parameters: int
    overhead_flop_per_unit: int | None = None
    tokens: int = 1

    @property
    def capacity_fraction(self) -> Fraction | None:
        """Weight parameters per product and overhead FLOP, over the 1/2 of dense (p q weights, 2pq FLOP), exactly.

        None of a layer that does no such FLOP, as one that appends a row.
        """
        flop = self.flop.product + self.flop.overhead
        return Fraction(2 * self.weight_parameters * self.tokens, flop) if flop else None

    @property
    def capacity_fraction_all(self) -> Fraction | None:
        """All parameters per operation, over those of the dense layer with the same bias, exactly.

        An operation is any FLOP (gating and bias too) or routing operation, each counted as one; None where there is
        none. A system that is no tree is held against the dense layer without bias.
        """
        p, q = self.spec.in_features, self.spec.out_features
        bias = q if isinstance(self.spec, LayerSpec) and self.spec.bias else 0
        operations = self.flop.total + self.routing_operations
        dense = Fraction(p * q + bias, 2 * p * q + bias)
        return Fraction(self.parameters * self.tokens, operations) / dense if operations else None

    @property
    def capacity_ratio(self) -> float | None:
        """``capacity_fraction``, rounded once."""
        return _rounded(self.capacity_fraction)

    @property
    def capacity_ratio_all(self) -> float | None:
        """``capacity_fraction_all``, rounded once."""
        return _rounded(self.capacity_fraction_all)

    def as_row(self) -> dict[str, str | int | float | None]:
        """One row of a table: the options, what the layer holds, and what one token costs."""
        spec = self.spec
        row: dict[str, str | int | float | None] = {"layer": spec.layer}
        if isinstance(spec, LayerSpec):
            row |= {"form": spec.form, "depth": spec.depth}
        else:
            row |= {name: getattr(spec, name) for name in defaults(type(spec))}
        row |= {
            "parameters": self.parameters,
            "weight_parameters": self.weight_parameters,
            "touched_parameters": self.touched_parameters,
            "product_flop": self._of_one_token(self.flop.product),
            "overhead_flop": self._of_one_token(self.flop.overhead),
            "gating_flop": self._of_one_token(self.flop.gating),
            "bias_flop": self._of_one_token(self.flop.bias),
            "routing_operations": self._of_one_token(self.routing_operations),
        }
        if self.overhead_flop_per_unit is not None:
            row["overhead_flop_per_unit"] = self.overhead_flop_per_unit
        return row | {"capacity_ratio": self.capacity_ratio, "capacity_ratio_all": self.capacity_ratio_all}

    def _of_one_token(self, count: int) -> int | float:
        """An integer, but where tokens share what is no multiple of their number."""
        return count / self.tokens if count % self.tokens else count // self.tokens


def _rounded(fraction: Fraction | None) -> float | None:
    return None if fraction is None else float(fraction)


def closed_form(spec: LayerSpec | SystemSpec, order: str = "leaves") -> Cost:
    """The cost of one token in the paper's accounting.

    Product and overhead of a tree are the law of the layer's own file in ``closed_forms``; beside it 2kp gating FLOP of
    hyperplanes (k (2p + 1) of a descent to a leaf) and q FLOP of a bias. Another system's specification says its own.

    Args: order: ``leaves`` or ``prefixes`` forms the path's matrix (the paper's accounting), ``nodes`` applies each
    node and adds the outputs; a layer without orders ignores it.

    Raises InputError for another order.

    Source: Cho & Bengio 2014, arXiv 1406.7362, our reading; exact counts derived. Other systems: as their files say.
    """
    if isinstance(spec, SystemSpec):
        return _system_cost(spec)
    if order not in ORDERS:
        raise InputError(f"order={order!r} is not known; it must be one of {', '.join(ORDERS)}.")
    form, token = CLOSED_FORMS[spec.layer], one_token(spec)
    bias = Flop(bias=spec.out_features if spec.output_bias else 0)
    return Cost(
        spec=spec,
        order=order if has_orders(spec) else None,
        flop=form.law(spec, order) + gate_cost(spec, 1).flop + bias,
        routing_operations=executed_routing(spec, 1, "forward"),
        parameters=parameters(spec),
        weight_parameters=weight_parameters(spec),
        touched_parameters=touched_parameters(spec, token),
        overhead_flop_per_unit=form.overhead_flop_per_unit(spec, order),
    )


def _system_cost(spec: SystemSpec) -> Cost:
    visits = spec.law_visits()
    return Cost(
        spec=spec,
        order=None,
        flop=spec.law(),
        routing_operations=spec.executed(visits, "forward").routing_operations,
        parameters=spec.parameters,
        weight_parameters=spec.weight_parameters,
        touched_parameters=spec.touched_parameters(visits),
        tokens=visits.tokens,
    )
