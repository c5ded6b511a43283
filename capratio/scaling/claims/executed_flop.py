"""Claim: what runs is what was promised, class by class."""

from collections.abc import Iterator

from capratio.records.record import Exact, Point
from capratio.scaling.claims.exact import Check, ExactClaim


class ExecutedFlop(ExactClaim):
    """FLOP counted while a case ran equal the promise for the nodes that its batch visited, class by class.

    Forward overhead of N tokens that visit V leaves and Vn nodes below the root: order ``leaves`` V·k·p·q, ``prefixes``
    Vn·p·q, ``nodes`` N·(2k·p·q + k·q); own bits N·k·p·q; tree bias N·(k + 1)·q; collapsed none, but N·q of a tree bias.
    Training adds the gradients: to the input the same once more (``nodes``: with p for q in its additions), to the
    weights V·(k + 1)·p·q, Vn·p·q, 2N·k·p·q, N·k·p·q and the tree bias's once more. The promise that the record holds is
    compared, and the sums above are compared too.
    """

    id = "executed-flop"
    title = "Counted FLOP are the promised FLOP"

    def checks(self, point: Point, exact: Exact) -> Iterator[Check]:
        """The recorded promise and the sums of this file, for each class."""
        if exact.flop_is_lower_bound:
            return
        promised = exact.promised_flop
        if promised is not None:
            # Any class that only one side knows is a difference.
            for name in ("overhead", *sorted((exact.flop.keys() | promised.keys()) - {"overhead"})):
                yield Check(f"counted {name} FLOP", exact.flop.get(name, 0), promised.get(name, 0))
        n, p, q, k = point.tokens, point.in_features, point.out_features, point.depth
        training = point.pass_ == "train"
        yield Check("product FLOP", exact.flop.get("product", 0), (3 if training else 1) * 2 * n * p * q)
        if exact.visited_levels is not None or point.layer != "tree-shared":
            overhead = _overhead(point, exact.visited_levels or (), training)
            if overhead is not None:
                yield Check("overhead FLOP", exact.flop.get("overhead", 0), overhead)
        bias = (n + (max(n - 1, 0) if training else 0)) * q if point.bias else 0
        yield Check("bias FLOP", exact.flop.get("bias", 0), bias)
        yield Check("gating FLOP", exact.flop.get("gating", 0), 2 * n * k * p if point.gate == "hyperplanes" else 0)


def _overhead(point: Point, levels: tuple[int, ...], training: bool) -> int | None:
    n, p, q, k = point.tokens, point.in_features, point.out_features, point.depth
    if point.layer == "dense":
        return 0
    if point.layer == "tree-bias":
        return (2 if training else 1) * n * q * (1 if point.form == "collapsed" else k + 1)
    if point.form == "collapsed" or k == 0:
        return 0
    if point.layer == "tree-unit":
        return (3 if training else 1) * n * k * p * q
    leaves, below_root = levels[-1], sum(levels[1:])
    if point.order == "leaves":
        return leaves * k * p * q * (2 if training else 1) + (leaves * (k + 1) * p * q if training else 0)
    if point.order == "prefixes":
        return below_root * p * q * (3 if training else 1)
    if point.order == "nodes":
        forward = n * (2 * k * p * q + k * q)
        return forward + (n * (2 * k * p * q + k * p) + 2 * n * k * p * q if training else 0)
    return None
