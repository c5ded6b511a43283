"""Claim: what a tree bias costs."""

from collections.abc import Iterator

from capratio.records.record import Exact, Point
from capratio.scaling.claims.exact import Check, ExactClaim


class TreeBiasOverheadFlop(ExactClaim):
    """Adding a path of q-vectors to W·x costs (k + 1)·q FLOP a token, since every node is added, the root too.

    Collapsed, one vector is added: q. A batch of N tokens counts N times that forward, and twice that in training,
    where the gradient is added into the same rows.
    """

    id = "tree-bias-overhead-flop"
    title = "A tree bias costs (k + 1)·q FLOP a token"
    layers = ("tree-bias",)

    def checks(self, point: Point, exact: Exact) -> Iterator[Check]:
        """Overhead in the law, and as counted."""
        added = (1 if point.form == "collapsed" else point.depth + 1) * point.out_features
        passes = 2 if point.pass_ == "train" else 1
        if exact.law_flop is not None:
            yield Check("overhead FLOP", exact.law_flop.get("overhead", 0), added)
        if not exact.flop_is_lower_bound:
            yield Check("counted overhead FLOP", exact.flop.get("overhead", 0), passes * point.tokens * added)
