"""What a system takes over its parameters: one line a system, beside dense layers of equal FLOP and parameters."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pandas as pd

from capratio.report.figures.canvas import WIDE_IN, draw_level, draw_series, first_column, log_axis, panels, paper
from capratio.report.figures.end_labels import label_ends, label_height_in
from capratio.report.figures.evidence import Drawing
from capratio.report.palette import INK, Dashes, Look, looks_of
from capratio.report.parameter_cost import CostLine, CostPoint

# More panels are no figure any more; the table has all calls.
MOST_PANELS = 6
# Of the picture beside the page.
MAIN_PANELS = 4
# Dashes of a layer's further lines; every other one is hollow too.
FURTHER_DASHES: tuple[Dashes, ...] = ((0.0, (4.0, 2.0)), (0.0, (1.0, 1.5)), (0.0, (6.0, 2.0, 1.0, 2.0)))


@dataclass(frozen=True, slots=True)
class CostQuantity:
    """One figure of the section.

    name: the field of a point. title, question: above the figure. beside_dense: goes on the question where the run has
    the dense layer of equal FLOP. label, unit: of the ordinate. caption: under it.
    of_layer: whether it is the layer's own, the same in every call, so that one panel has it. bound: a level that no
    system can pass.
    """

    name: str
    title: str
    question: str
    label: str
    unit: str
    caption: str
    beside_dense: str = ""
    of_layer: bool = False
    bound: float | None = None


QUANTITIES = (
    CostQuantity(
        "median_s",
        "Latency",
        "What does a system's latency do while its parameters grow? A flat line gives parameters away.",
        "latency",
        "s",
        "Median over processes.",
        beside_dense="Active FLOP are nearly equal; a dense layer pays for each of its parameters.",
    ),
    CostQuantity(
        "times_limit",
        "Latency over the limit, by system",
        "How far is each system from what this machine's memory and arithmetic allow? 1 is the limit.",
        "latency / limit",
        "",
        "The limit is the larger of compulsory bytes over the measured bandwidth at their footprint, and FLOP over the "
        "measured rate.",
        bound=1.0,
    ),
    CostQuantity(
        "compulsory_bytes",
        "Touched bytes",
        "What must a call bring from memory? One token touches as much however many parameters there are, but for a "
        "router that grows with them; a batch touches more of them, since its tokens go to different ones.",
        "touched bytes of a call",
        "B",
        "Compulsory bytes: input, output and the parameters that the call reached, once; in training gradients too.",
    ),
    CostQuantity(
        "peak_bytes",
        "Memory of a call",
        "What does a call take on top of the parameters? Training takes a gradient as large as they are.",
        "peak of a call",
        "B",
        "The allocator's peak in a call, over its start. What the layer holds, its parameters and buffers, is in the "
        "table.",
    ),
    CostQuantity(
        "capacity_ratio",
        "Capacity ratio, by system",
        "How many more weights does a FLOP buy than in the dense layer of the same width?",
        "capacity ratio (dense layer = 1)",
        "",
        "Weight parameters per product and overhead FLOP of a token, over those of the dense layer of the same p and "
        "q; gating and routing are left out. It is the layer's own, whatever the call.",
        of_layer=True,
    ),
)


def select(lines: Sequence[CostLine], what: CostQuantity, most: int = MOST_PANELS) -> dict[str, list[CostLine]]:
    """Call → its lines, of those points that have the quantity; the calls with the most lines are kept."""
    calls: dict[str, list[CostLine]] = {}
    for line in lines:
        known = tuple(point for point in line.points if _value(point, what) is not None)
        if known:
            calls.setdefault(line.call, []).append(replace(line, points=known))
    order = sorted(calls, key=lambda call: -len(calls[call]))[: 1 if what.of_layer else most]
    return {call: lines for call, lines in calls.items() if call in order}


def draw_main(lines: Sequence[CostLine]) -> Drawing | None:
    """Latency in the kinds of call that have the most lines: the picture of the run beside its page."""
    return draw(lines, QUANTITIES[0], MAIN_PANELS)


def further_calls(lines: Sequence[CostLine]) -> list[str]:
    """The kinds of call of the page's latency figure that ``draw_main`` leaves out."""
    shown = select(lines, QUANTITIES[0], MAIN_PANELS)
    return [call for call in select(lines, QUANTITIES[0]) if call not in shown]


def line_looks(lines: Sequence[CostLine]) -> dict[str, Look]:
    """The look of each line by its name: its layer's, and of further lines of the layer with dashes of their own."""
    layers = looks_of([(line.layer, "path") for line in lines])
    looks: dict[str, Look] = {}
    for layer, look in layers.items():
        names = list(dict.fromkeys(line.name for line in lines if line.layer == layer))
        for place, name in enumerate(names):
            dashes = FURTHER_DASHES[(place - 1) % len(FURTHER_DASHES)] if place else look.dashes
            looks[name] = replace(look, hollow=place % 2 == 1, dashes=dashes)
    return looks


def draw(lines: Sequence[CostLine], what: CostQuantity, most: int = MOST_PANELS) -> Drawing | None:
    """One panel a kind of call, both axes logarithmic, every line named at its end; None where no point has it.

    Args: most: panels at most, of the calls that have the most lines.
    """
    chosen = select(lines, what, most)
    if not chosen:
        return None
    looks = line_looks(lines)
    with paper():
        height_in = label_height_in(max(map(len, chosen.values())))
        figure, axes = panels(len(chosen), most_columns=2, height_in=height_in, width_in=WIDE_IN)
        for ax, (call, own) in zip(axes, chosen.items(), strict=True):
            rows = _frame(own, what)
            for line in own:
                if line.is_level:
                    level = _value(line.largest, what)
                    assert level is not None
                    draw_level(ax, level, looks[line.name])
            draw_series(ax, rows, "parameters", "value", looks)
            ax.set_title("every call" if what.of_layer else call)
            log_axis(ax, "x", "parameters", "", list(rows["parameters"]))
            bounds = [] if what.bound is None else [what.bound]
            for bound in bounds:
                ax.axhline(bound, color=INK.light, linewidth=0.9)
            log_axis(ax, "y", what.label, what.unit, [*rows["value"], *bounds])
            if not first_column(ax):
                ax.set_ylabel("")
            label_ends(ax, rows, "parameters", "value", looks, [line.name for line in own if line.is_level])
    said = [what.caption, "A line is one group of cases."]
    if any(line.is_level for own in chosen.values() for line in own):
        said.append("The dash-dotted level is the dense layer of equal FLOP.")
    return Drawing(figure, " ".join(said))


def _value(point: CostPoint, what: CostQuantity) -> float | None:
    """The quantity where a logarithmic axis has a place for it."""
    value = getattr(point, what.name)
    return float(value) if value else None


def _frame(lines: Sequence[CostLine], what: CostQuantity) -> pd.DataFrame:
    rows = [(line.name, point.parameters, _value(point, what)) for line in lines for point in line.points]
    return pd.DataFrame(rows, columns=["series", "parameters", "value"])
