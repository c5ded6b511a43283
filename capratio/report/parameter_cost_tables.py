"""What a parameter costs as two tables a kind of call: the price of a parameter, and what stands behind it."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from capratio.report.parameter_cost import DENSE, CostLine, CostPoint, Reached
from capratio.report.quantities import NOTHING, integer, measured, number, quantity
from capratio.report.side_by_side import Estimate, ratio_over_processes
from capratio.units import significant

PRICE_HEADINGS = (
    "system",
    "parameters",
    "parameters a FLOP",
    "a byte moved",
    "a microsecond",
    "routing, of operations",
    "latency over dense of equal FLOP",
    "over dense of equal parameters (at how many)",
    "latency over parameters: exponent",
)
PRICE_WORDS = (
    "The price: the largest point of each line. Parameters are all that the layer holds, over the FLOP, the bytes and "
    "the time of one token (of a batch: its share). Bytes are those that the operations read and wrote. Routing is "
    "gating FLOP and routing operations (compares, sorts, index arithmetic; not relu's compares) in percent of all "
    "operations. The two "
    "dense layers are the run's own: the nearest in product FLOP (in all FLOP, where products alone have none), and, "
    "at the largest point that has one, the nearest in parameters, within a factor of 1.5. The exponent is the slope "
    "of the logarithms over the line: 0 is free parameters, 1 is a dense layer's price; it is fitted, not promised. "
    "Intervals are over processes; one process alone gives none."
)
BEHIND_HEADINGS = (
    "system",
    "FLOP a token",
    "FLOP / dense, along the line",
    "of products alone",
    "capacity ratio / with gating and routing",
    "touched bytes",
    "layer holds",
    "call peak",
    "latency / limit",
    "reached / under uniform routing",
)
BEHIND_WORDS = (
    "What stands behind it, of the same points. FLOP / dense is held against the level of the figures, the dense layer "
    "of equal FLOP: least and greatest along the line where they differ, first of all active FLOP, then of products "
    "alone, without gating. Touched bytes of a call are its compulsory bytes: input, output, and the parameters that "
    "it reached, once. The call's peak is on top of what the layer holds. The limit is known to the spread of the "
    "machine's ceilings, so that a ratio may be a little under 1. Reached are the distinct places of the call."
)
# A dense layer stands for another one whose size differs by less than this factor.
NEAR = 1.5


@dataclass(frozen=True, slots=True)
class CostTable:
    """The lines of one kind of call: rows under ``PRICE_HEADINGS``, and rows under ``BEHIND_HEADINGS``."""

    call: str
    prices: Sequence[tuple[str, ...]]
    behind: Sequence[tuple[str, ...]]


def cost_tables(lines: Sequence[CostLine]) -> list[CostTable]:
    """Both tables of every kind of call, in the order of ``lines``; a row a line."""
    tables = []
    for call in dict.fromkeys(line.call for line in lines):
        own = [line for line in lines if line.call == call]
        tables.append(CostTable(call, [_price(line, own) for line in own], [_behind(line, own) for line in own]))
    return tables


def _price(line: CostLine, beside: Sequence[CostLine]) -> tuple[str, ...]:
    point, dense = line.largest, [other for other in beside if other.layer == DENSE and other is not line]
    tokens = max(point.tokens, 1)
    per_token_s = point.median_s / tokens
    return (
        line.name,
        quantity(point.parameters),
        number(point.parameters / (point.flop / tokens)) if point.flop else NOTHING,
        number(point.parameters / max(point.op_bytes / tokens, 1)),
        quantity(point.parameters / (per_token_s * 1e6)),
        f"{100 * point.routing_share:.2g} %",
        # Where a search or a gate is most of the work, it takes the FLOP that others spend on products.
        _over(
            point, _nearest(dense, "product", point) or _nearest(dense, "flop", point), f"{line.name} {line.call} FLOP"
        ),
        _over_equal_parameters(line, dense),
        _exponent(line.exponent),
    )


def _behind(line: CostLine, beside: Sequence[CostLine]) -> tuple[str, ...]:
    point, level = line.largest, _level(line, beside)
    return (
        line.name,
        quantity(point.flop / max(point.tokens, 1)),
        _range(line, level, lambda one: one.flop),
        _range(line, level, lambda one: one.product),
        _capacity(point),
        quantity(point.compulsory_bytes, "B"),
        quantity(point.state_bytes, "B"),
        quantity(point.peak_bytes, "B"),
        NOTHING if point.times_limit is None else significant(point.times_limit),
        ", ".join(map(_reached, point.reached)) or NOTHING,
    )


def _level(line: CostLine, beside: Sequence[CostLine]) -> CostPoint | None:
    """The dense layer of equal FLOP: the dense line of one point, as it is drawn; of several the nearest in FLOP."""
    levels = [other.largest for other in beside if other.is_level and other is not line]
    return min(levels, key=lambda one: abs(math.log(one.flop / max(line.points[0].flop, 1))), default=None)


def _range(line: CostLine, level: CostPoint | None, of: Callable[[CostPoint], int]) -> str:
    """The least and the greatest ratio to the level along the line, once where three digits do not part them."""
    if level is None or not of(level):
        return NOTHING
    ratios = [of(point) / of(level) for point in line.points]
    return "\u2013".join(dict.fromkeys(significant(each) for each in (min(ratios), max(ratios))))


def _capacity(point: CostPoint) -> str:
    ratios = point.capacity_ratio, point.capacity_ratio_all
    if ratios == (None, None):
        return NOTHING
    return " / ".join(NOTHING if each is None else f"\u00d7\u202f{significant(each)}" for each in ratios)


def _reached(reached: Reached) -> str:
    if reached.uniform is None:
        return f"{integer(reached.count)} {reached.kind}"
    # Of many places a fraction says nothing.
    uniform = integer(round(reached.uniform)) if reached.uniform >= 100 else number(reached.uniform)
    return f"{integer(reached.count)} / {uniform} {reached.kind}".replace(" ", "\u00a0")


def _over_equal_parameters(line: CostLine, dense: Sequence[CostLine]) -> str:
    """The ratio at the largest point of a line that has a dense layer of as many parameters, and how many these are."""
    for point in reversed(line.points):
        twin = _nearest(dense, "parameters", point)
        if twin is not None:
            return f"{_over(point, twin, f'{line.name} {line.call} parameters')} at {quantity(point.parameters)}"
    return NOTHING


def _nearest(dense: Sequence[CostLine], what: str, wanted: CostPoint) -> CostPoint | None:
    """The dense point whose product FLOP or parameters are nearest, if they are within a factor of ``NEAR``."""
    size = getattr(wanted, what)
    points = [point for line in dense for point in line.points if size and getattr(point, what)]
    distances = [(abs(math.log(getattr(point, what) / size)), place) for place, point in enumerate(points)]
    if not distances or min(distances)[0] > math.log(NEAR):
        return None
    return points[min(distances)[1]]


def _over(point: CostPoint, dense: CostPoint | None, name: str) -> str:
    if dense is None:
        return NOTHING
    common = sorted(point.latency_s.keys() & dense.latency_s.keys())
    ratios = [point.latency_s[each] / dense.latency_s[each] for each in common]
    if not ratios:
        return NOTHING
    ratio = ratio_over_processes(ratios, name)
    return measured(ratio.value, ratio.low, ratio.high)


def _exponent(estimate: Estimate | None) -> str:
    """To two decimals, as a slope near 0 has no significant digits."""
    if estimate is None:
        return NOTHING
    # Adding 0 makes the 0 of a rounded -0.001 plain.
    value, low, high = (f"{round(each, 2) + 0.0:.2f}" for each in (estimate.value, estimate.low, estimate.high))
    return value if estimate.low == estimate.high else f"{value} [{low}, {high}]"
