"""Claim: overhead latency over depth."""

from capratio.records.record import Record
from capratio.scaling.claims.exponent import Abscissa
from capratio.scaling.claims.paired_latency import PairedLatency
from capratio.scaling.claims.single_token import is_paid_by_every_token


class PathLatencyOverDepth(PairedLatency):
    """What a path layer takes beyond the dense layer grows like k: c0 + a·k^b with b = 1 ± 0.15.

    Latency of the dense layer of the same sizes is taken off in each replicate; c0 is what a call costs beyond it at
    any depth. Single tokens are judged on cold caches, each sample on another token; a batch only where its nodes are
    applied to every token.
    """

    id = "path-latency-over-depth"
    title = "Overhead latency grows like k"
    swept = "depth"
    axis = Abscissa("k", integers=True)

    def eligible(self, record: Record) -> bool:
        """Cold single tokens, and batches that apply nodes."""
        return is_paid_by_every_token(record)
