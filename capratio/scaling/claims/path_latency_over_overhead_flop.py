"""Claim: overhead latency of a batch over its overhead FLOP."""

from capratio.records.record import Record
from capratio.scaling.claims.exponent import Abscissa
from capratio.scaling.claims.paired_latency import PairedLatency


class PathLatencyOverOverheadFlop(PairedLatency):
    """What a path layer takes in a batch beyond the dense layer grows like its counted overhead FLOP: b = 1 ± 0.15.

    Depth is swept, and forming leaves costs by distinct leaves, whose number grows with depth: over k itself no law has
    one exponent. Where the line bends, the depth's cause is named: the order changed, touched bytes left a cache, or
    leaves became more than tokens.
    """

    id = "path-latency-over-overhead-flop"
    title = "Overhead latency of a batch grows like its overhead FLOP"
    swept = "depth"
    axis = Abscissa("overhead FLOP", unit="FLOP")

    def eligible(self, record: Record) -> bool:
        """Batches of more than one token, in any pass and cache state."""
        return record.point.tokens > 1 and record.exact is not None

    def abscissa(self, record: Record) -> float:
        """The overhead FLOP that were counted."""
        return 0.0 if record.exact is None else float(record.exact.flop.get("overhead", 0))
