"""The capacity ratio of every form over depth, beside the growth 2^k / k that the paper promises."""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from capratio.cost.closed_form import closed_form
from capratio.cost.spec import LayerSpec


@dataclass(frozen=True, slots=True)
class CapacityRow:
    """Capacity ratios against dense at one depth, exact; bias, gate and routing left out.

    depth k. formed: shared bits, path matrix formed. applied: shared bits, nodes applied. unit: own bits. collapsed:
    shared or own bits, sums stored a leaf. tree_bias, collapsed_tree_bias: the path added as a bias. promise: 2^k / k,
    None at k = 0.
    """

    depth: int
    formed: Fraction
    applied: Fraction
    unit: Fraction
    collapsed: Fraction
    tree_bias: Fraction
    collapsed_tree_bias: Fraction
    promise: Fraction | None


def capacity_table(in_features: int, out_features: int, depths: Iterable[int]) -> tuple[CapacityRow, ...]:
    """One row a depth.

    Args: in_features p, out_features q: counts (only ``applied`` and the tree biases depend on p, none on q). depths:
    any order.

    Raises InputError for a size or a depth that a layer cannot have.
    """

    def ratio(layer: str, depth: int, form: str = "path", order: str = "leaves") -> Fraction:
        return closed_form(LayerSpec(layer, in_features, out_features, depth, form), order).capacity_fraction

    return tuple(
        CapacityRow(
            depth=depth,
            formed=ratio("tree-shared", depth),
            applied=ratio("tree-shared", depth, order="nodes"),
            unit=ratio("tree-unit", depth),
            collapsed=ratio("tree-shared", depth, "collapsed"),
            tree_bias=ratio("tree-bias", depth),
            collapsed_tree_bias=ratio("tree-bias", depth, "collapsed"),
            promise=Fraction(2**depth, depth) if depth else None,
        )
        for depth in depths
    )
