"""Whether a case runs the paper's accounting: one token, its path formed."""

from capratio.records.record import Point


def forms_for_one_token(point: Point) -> bool:
    """Whether the counted overhead of a case is that of one token whose path is formed.

    Shared bits form it in the orders ``leaves`` and ``prefixes``; own bits, tree biases and layers without a path have
    no other way.
    """
    applies_nodes = point.layer == "tree-shared" and point.form == "path" and point.order == "nodes"
    return point.tokens == 1 and point.pass_ != "train" and not applies_nodes
