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
    """Measured dense layers by what a partner must share; a dense layer has no routing, so that is not among it."""

    by_call: dict[tuple[object, ...], Record]

    def of(self, record: Record) -> Record | None:
        """The dense record of the same replicate, or None."""
        return self.by_call.get(_call(record.point, record.replicate))


def dense_partners(records: Iterable[Record]) -> DensePartners:
    """Find the dense layers among measured records, whatever they claim."""
    return DensePartners(
        {
            _call(record.point, record.replicate): record
            for record in records
            if record.measured and record.point.layer == "dense"
        }
    )


def _call(point: Point, replicate: int) -> tuple[object, ...]:
    return (*(getattr(point, name) for name in _SAME), replicate)
