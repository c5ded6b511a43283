"""Which cases the latency laws of single tokens are judged on."""

from capratio.records.record import Record


def is_cold_single_token(record: Record) -> bool:
    """One token, nothing in the caches, no training: caches bend a right layer's warm slope to 1.5."""
    point = record.point
    return point.tokens == 1 and point.cache == "cold" and point.pass_ in ("decode", "forward")


def is_paid_by_every_token(record: Record) -> bool:
    """A cold single token, or a batch whose nodes are applied to every token: where overhead is k·p·q a token.

    A batch that forms leaves pays for distinct leaves instead, and is judged over its counted overhead FLOP.
    """
    point = record.point
    applied = point.layer == "tree-shared" and point.order == "nodes" and point.tokens > 1 and point.pass_ == "forward"
    return is_cold_single_token(record) or applied
