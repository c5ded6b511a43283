"""Claim: the product of a layer is the dense layer's."""

from collections.abc import Iterator

from capratio.records.record import Exact, Point
from capratio.scaling.claims.exact import Check, ExactClaim


class DenseFlop(ExactClaim):
    """Every layer pays the dense product, 2·p·q FLOP a token, whatever its depth; training pays it three times.

    The counted product of N tokens is 2·N·p·q forward, and 6·N·p·q with the gradients to input and weights.
    """

    id = "dense-flop"
    title = "The product is 2·p·q FLOP a token"

    def checks(self, point: Point, exact: Exact) -> Iterator[Check]:
        """The product in the law, and as counted."""
        product = 2 * point.in_features * point.out_features
        passes = 3 if point.pass_ == "train" else 1
        if exact.law_flop is not None:
            yield Check("product FLOP", exact.law_flop.get("product", 0), product)
        if not exact.flop_is_lower_bound:
            yield Check("counted product FLOP", exact.flop.get("product", 0), passes * point.tokens * product)
