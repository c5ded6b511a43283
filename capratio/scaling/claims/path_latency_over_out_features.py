"""Claim: overhead latency over out_features."""

from capratio.records.record import Record
from capratio.scaling.claims.exponent import Abscissa
from capratio.scaling.claims.paired_latency import PairedLatency
from capratio.scaling.claims.single_token import is_paid_by_every_token


class PathLatencyOverOutFeatures(PairedLatency):
    """What a path layer takes beyond the dense layer grows like q: c0 + a·q^b with b = 1 ± 0.15.

    The dense layer of the same p and q is taken off in each replicate. Single tokens are judged on cold caches.
    """

    id = "path-latency-over-out-features"
    title = "Overhead latency grows like q"
    swept = "out_features"
    axis = Abscissa("q")

    def eligible(self, record: Record) -> bool:
        """Cold single tokens, and batches that apply nodes."""
        return is_paid_by_every_token(record)
