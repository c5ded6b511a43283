"""What a benchmark of asv measures, by its name: which direction is better, and whether it has noise."""

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

from capratio.gate.policy import LATENCY


@dataclass(frozen=True, slots=True)
class Kind:
    """How a series is judged.

    better: ``lower``, ``higher``, or None where nobody said: such a series is shown and not judged. exact: whether it
    is counted and has no noise, so that every change is a step. quantity: whose budget of the policy it has.
    """

    better: Literal["lower", "higher"] | None
    exact: bool
    quantity: str


_CLOCK = Kind("lower", exact=False, quantity=LATENCY)
# asv's clock and memory, then what the suite of this project tracks; the first pattern that fits a function counts.
KINDS: tuple[tuple[str, Kind], ...] = (
    ("time_*", _CLOCK),
    ("timeraw_*", _CLOCK),
    # A process's memory has noise, and no budget of its own in a policy.
    ("peakmem_*", _CLOCK),
    ("mem_*", _CLOCK),
    ("track_latency_s", _CLOCK),
    ("track_efficiency", Kind("higher", exact=False, quantity=LATENCY)),
    # Parameters per FLOP: it falls where FLOP rise, within their budget.
    ("track_capacity_ratio", Kind("higher", exact=True, quantity="flop")),
    ("track_*_flop", Kind("lower", exact=True, quantity="flop")),
    ("track_op_bytes", Kind("lower", exact=True, quantity="op_bytes")),
    ("track_compulsory_bytes", Kind("lower", exact=True, quantity="compulsory_bytes")),
    ("track_allocated_peak_bytes", Kind("lower", exact=True, quantity="allocated_peak_bytes")),
    ("track_parameters", Kind("lower", exact=True, quantity="parameters")),
    # Of a layer as of its input: neither more nor fewer is better.
    ("track_distinct_leaves", Kind(None, exact=True, quantity="flop")),
)
UNKNOWN = Kind(None, exact=False, quantity=LATENCY)


def kind_of(benchmark: str) -> Kind:
    """The kind of a benchmark, by the last part of its dotted name; ``UNKNOWN`` where no pattern fits."""
    function = benchmark.rpartition(".")[2]
    return next((kind for pattern, kind in KINDS if fnmatchcase(function, pattern)), UNKNOWN)
