"""Claim: overhead latency over in_features."""

from capratio.records.record import Record
from capratio.scaling.claims.exponent import Abscissa
from capratio.scaling.claims.paired_latency import PairedLatency
from capratio.scaling.claims.single_token import is_paid_by_every_token


class PathLatencyOverInFeatures(PairedLatency):
    """What a path layer takes beyond the dense layer grows like p: c0 + a·p^b with b = 1 ± 0.15.

    The dense layer of the same p and q is taken off in each replicate. Single tokens are judged on cold caches. A tree
    bias adds (k + 1)·q whatever p is, and is left out.
    """

    id = "path-latency-over-in-features"
    title = "Overhead latency grows like p"
    swept = "in_features"
    axis = Abscissa("p")

    def eligible(self, record: Record) -> bool:
        """Cold single tokens, and batches that apply nodes; no tree bias."""
        return is_paid_by_every_token(record) and record.point.layer != "tree-bias"
