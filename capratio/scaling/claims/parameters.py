"""Claim: the parameters of a layer."""

from collections.abc import Iterator

from capratio.records.record import Exact, Point
from capratio.scaling.claims.exact import Check, ExactClaim


class Parameters(ExactClaim):
    """A path tree of depth k holds (2^(k+1) − 1)·p·q weights, its collapsed form 2^k·p·q, a dense layer p·q.

    A tree bias holds p·q + (2^(k+1) − 1)·q, collapsed p·q + 2^k·q. Beside these a bias has q parameters, learned
    hyperplanes k·p, learned thresholds k·p, signs none.
    """

    id = "parameters"
    title = "Parameters are those of the tree"

    def checks(self, point: Point, exact: Exact) -> Iterator[Check]:
        """The weight tables, and all parameters."""
        weights = weight_parameters(point)
        bias = point.out_features if point.bias else 0
        gate = 0 if point.gate == "signs" else point.depth * point.in_features
        yield Check("weight parameters", exact.weight_parameters, weights)
        yield Check("parameters", exact.parameters, weights + bias + gate)


def weight_parameters(point: Point) -> int:
    """The weights that the law promises."""
    p, q, k = point.in_features, point.out_features, point.depth
    rows: int = 2**k if point.form == "collapsed" else 2 ** (k + 1) - 1
    if point.layer == "dense":
        return p * q
    if point.layer == "tree-bias":
        return p * q + rows * q
    return rows * p * q
