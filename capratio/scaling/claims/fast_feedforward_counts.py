"""Claim: a fast feedforward layer runs, holds and reads what a count by hand says."""

from collections.abc import Iterator
from typing import ClassVar

from capratio.cost.spec import HIDDEN
from capratio.records.record import Exact, Point
from capratio.scaling.claims.exact import Check, ExactClaim


class FastFeedforwardCounts(ExactClaim):
    """A fast feedforward layer runs, holds and reads what its tree says, to the integer.

    Of N tokens that visit V leaves of h units and Vn nodes above them: product FLOP 2N·h·(p + q), three times that in
    training; overhead N·(h + q) for both biases, twice that in training; gating N·k·(2p + 1); parameters 2^k·(h·(p + q)
    + h + q) + (2^k − 1)·(p + 1), of which a batch touches those of V leaves and Vn nodes. On a path of single neurons:
    product 2N·(k + 1)·(p + q), three times that in training; parameters (2^(k+1) − 1)·(p + q), of which all visited,
    and the bias of q where there is one.
    """

    id = "fast-feedforward-counts"
    title = "A fast feedforward layer's counts are its tree's"
    layers: ClassVar[tuple[str, ...]] = ("fast-feedforward",)

    def checks(self, point: Point, exact: Exact) -> Iterator[Check]:
        """Product FLOP first, then the other classes, parameters held and touched."""
        levels = exact.visited_levels
        if exact.flop_is_lower_bound or levels is None or exact.touched_parameters is None:
            return
        n, p, q, k = point.tokens, point.in_features, point.out_features, point.depth
        training = point.pass_ == "train"
        units = int((point.options or {}).get("hidden", HIDDEN)) if point.form == "leaf" else k + 1
        yield Check("product FLOP", exact.flop.get("product", 0), (3 if training else 1) * 2 * n * units * (p + q))
        if point.form == "leaf":
            last_bias = q if point.bias else 0
            leaf, node = units * (p + q) + units + last_bias, p + 1
            overhead = (2 if training else 1) * n * (units + last_bias)
            yield Check("overhead FLOP", exact.flop.get("overhead", 0), overhead)
            yield Check("gating FLOP", exact.flop.get("gating", 0), n * k * (2 * p + 1))
            held, touched = 2**k * leaf + (2**k - 1) * node, levels[-1] * leaf + sum(levels[:-1]) * node
        else:
            bias = q if point.bias else 0
            held = (2 ** (k + 1) - 1) * (p + q) + bias
            touched = sum(levels) * (p + q) + (bias if n else 0)
        yield Check("parameters", exact.parameters, held)
        yield Check("touched parameters", exact.touched_parameters, touched)
