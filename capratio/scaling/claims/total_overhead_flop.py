"""Claim: what a token's path costs."""

from collections.abc import Iterator

from capratio.records.record import Exact, Point
from capratio.scaling.claims.exact import Check, ExactClaim
from capratio.scaling.claims.forming import forms_for_one_token


class TotalOverheadFlop(ExactClaim):
    """Forming a token's path over all p units costs k·p·q FLOP, beside the 2·p·q of the product.

    Collapsed and dense layers have no overhead. Where the layer formed the path for a single token, the overhead that
    was counted while it ran is compared too; other orders and batches are the matter of ``executed-flop``.
    """

    id = "total-overhead-flop"
    title = "A token's overhead is k·p·q FLOP"
    layers = ("dense", "tree-shared", "tree-unit")

    def checks(self, point: Point, exact: Exact) -> Iterator[Check]:
        """Overhead in the law and as counted."""
        plain = point.layer == "dense" or point.form == "collapsed"
        promised = 0 if plain else point.depth * point.in_features * point.out_features
        if exact.law_flop is not None:
            yield Check("overhead FLOP", exact.law_flop.get("overhead", 0), promised)
        if forms_for_one_token(point):
            yield Check("counted overhead FLOP", exact.flop.get("overhead", 0), promised)
