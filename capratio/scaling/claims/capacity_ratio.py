"""Claim: the capacity ratio of a layer."""

from collections.abc import Iterator
from fractions import Fraction

from capratio.records.record import Exact, Point
from capratio.scaling.claims.exact import Check, ExactClaim


class CapacityRatio(ExactClaim):
    """Weight parameters per FLOP, over those of the dense layer, are 2·(2^(k+1) − 1)/(k + 2): growth like 2^k/k.

    Collapsed they are 2^k. For a tree bias they are (1 + (2^(k+1) − 1)/p)/(1 + (k + 1)/(2p)), collapsed
    (1 + 2^k/p)/(1 + 1/(2p)). FLOP are product and overhead of one token in the paper's accounting; bias, gates and
    routing are left out. The ratio is compared as a fraction, then as the float that the record keeps.
    """

    id = "capacity-ratio"
    title = "Capacity per FLOP grows like 2^k/k"

    def checks(self, point: Point, exact: Exact) -> Iterator[Check]:
        """The ratio of the recorded integers, and the recorded ratio."""
        promised = _promised(point)
        if exact.law_flop is not None:
            flop = exact.law_flop.get("product", 0) + exact.law_flop.get("overhead", 0)
            # Dense has p·q weights for 2·p·q FLOP: half a weight a FLOP.
            yield Check("capacity ratio", Fraction(2 * exact.weight_parameters, max(flop, 1)), promised)
        if exact.capacity_ratio is not None:
            # Both are rounded once, from the same fraction.
            yield Check("recorded capacity ratio", Fraction(exact.capacity_ratio), Fraction(float(promised)))


def _promised(point: Point) -> Fraction:
    p, k = point.in_features, point.depth
    collapsed = point.form == "collapsed"
    if point.layer == "dense":
        return Fraction(1)
    if point.layer == "tree-bias":
        vectors, added = (2**k, 1) if collapsed else (2 ** (k + 1) - 1, k + 1)
        return (1 + Fraction(vectors, p)) / (1 + Fraction(added, 2 * p))
    return Fraction(2**k) if collapsed else Fraction(2 * (2 ** (k + 1) - 1), k + 2)
