"""Claim: a batch reads the parameters of the nodes that it visits, and no others."""

from collections.abc import Iterator

from capratio.records.record import Exact, Point
from capratio.scaling.claims.exact import Check, ExactClaim


class TouchedParameters(ExactClaim):
    """A batch touches the weights of the nodes that it visited, bias and gate parameters, and nothing else.

    Shared bits hold p·q weights a node, own bits q a (unit, node) pair, a tree bias q a node beside its p·q; collapsed
    forms count leaves alone. A level of 2^l nodes cannot show more visited ones than it has, nor more than tokens.
    """

    id = "touched-parameters"
    title = "A batch touches its own nodes only"

    def checks(self, point: Point, exact: Exact) -> Iterator[Check]:
        """Touched parameters of the visited levels, and what a level can hold."""
        levels = exact.visited_levels
        if levels is None or exact.touched_parameters is None or len(levels) != point.depth + 1:
            return
        p, q = point.in_features, point.out_features
        nodes = levels[-1] if point.form == "collapsed" else sum(levels)
        weights = {
            "dense": p * q,
            "tree-shared": nodes * p * q,
            "tree-unit": nodes * q,
            "tree-bias": p * q + nodes * q,
        }[point.layer]
        always = (q if point.bias else 0) + (0 if point.gate == "signs" else point.depth * p)
        # Without tokens nothing is read.
        promised = weights + always if point.tokens else 0
        yield Check("touched parameters", exact.touched_parameters, promised)
        trees = p if point.layer == "tree-unit" else 1
        for level, visited in enumerate(levels):
            most = trees * min(2**level, point.tokens)
            yield Check(f"visited nodes of level {level}", visited, min(visited, most))
