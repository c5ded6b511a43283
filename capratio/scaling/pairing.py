"""The dense layer that a conditional one is held against: same sizes, same call, same replicate."""

from collections.abc import Iterable
from dataclasses import dataclass

from capratio.records.record import Point, Record

_SAME = (
    "in_features",
    "out_features",
    "tokens",
    "dtype",
    "device",
    "pass_",
    "cache",
    "input",
    "threads",
    "bias",
)


@dataclass(frozen=True, slots=True)
class DensePartners:
    """Measured dense layers by what a partner must share.

    A dense layer has no routing: one of the same routing is taken first, for the same input values, then any.
    """

    by_routing: dict[tuple[object, ...], Record]
    by_call: dict[tuple[object, ...], Record]

    def of(self, record: Record) -> Record | None:
        """The dense record of the same replicate, or None."""
        call = _call(record.point, record.replicate)
        return self.by_routing.get((*call, record.point.routing), self.by_call.get(call))


def dense_partners(records: Iterable[Record]) -> DensePartners:
    """Find the dense layers among measured records, whatever they claim."""
    by_routing: dict[tuple[object, ...], Record] = {}
    by_call: dict[tuple[object, ...], Record] = {}
    for record in records:
        if record.measured and record.point.layer == "dense":
            call = _call(record.point, record.replicate)
            by_routing[(*call, record.point.routing)] = record
            by_call[call] = record
    return DensePartners(by_routing, by_call)


def _call(point: Point, replicate: int) -> tuple[object, ...]:
    return (*(getattr(point, name) for name in _SAME), replicate)
