"""Claim: what one unit's tree costs."""

from collections.abc import Iterator
from fractions import Fraction

from capratio.records.record import Exact, Point
from capratio.scaling.claims.exact import Check, ExactClaim
from capratio.scaling.claims.forming import forms_for_one_token


class OverheadFlopPerUnit(ExactClaim):
    """Forming one unit's q-vector from its path costs k·q FLOP, beside the 2q that the unit costs anyway.

    The law's overhead of a token is shared by p units; collapsed and dense layers have none. Where the layer formed the
    path for a single token, the overhead that was counted while it ran is compared too.
    """

    id = "overhead-flop-per-unit"
    title = "A unit's overhead is k·q FLOP"
    layers = ("dense", "tree-shared", "tree-unit")

    def checks(self, point: Point, exact: Exact) -> Iterator[Check]:
        """Overhead over p, in the law and as counted."""
        plain = point.layer == "dense" or point.form == "collapsed"
        promised = 0 if plain else point.depth * point.out_features
        if exact.law_flop is not None:
            yield Check("overhead FLOP a unit", _whole(exact.law_flop.get("overhead", 0), point.in_features), promised)
        if forms_for_one_token(point):
            yield Check(
                "counted overhead FLOP a unit", _whole(exact.flop.get("overhead", 0), point.in_features), promised
            )


def _whole(total: int, units: int) -> int | Fraction:
    share = Fraction(total, units)
    return share.numerator if share.denominator == 1 else share
