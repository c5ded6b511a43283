"""What one process of a gate measured, as one line of JSON."""

import json
from dataclasses import asdict, dataclass, field
from statistics import median

from capratio.errors import InputError
from capratio.records.strict_json import parse_object
from capratio.records.typed import build


@dataclass(frozen=True, slots=True)
class ProcessResult:
    """One process of a run.

    stage, block, side: as in ``BlockPlan``. started_at: ISO time, UTC. took_s: seconds of its turns.
    loadavg: one-minute load before it. anchors: readings of work that no commit changes, seconds by name, one a round.
    samples_s: case → seconds of each call. counts: case → exact quantities, where they were counted. failed:
    case → why it has no latency. broken: why the process ended before it was done, or None. throttled: cases whose
    device ran at a lower clock.
    """

    stage: str
    block: int
    side: str
    started_at: str
    took_s: float
    loadavg: float
    anchors: tuple[dict[str, float], ...] = ()
    samples_s: dict[str, tuple[float, ...]] = field(default_factory=dict)
    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    broken: str | None = None
    throttled: tuple[str, ...] = ()

    @property
    def key(self) -> tuple[str, int, str]:
        """What no two processes of a run share."""
        return self.stage, self.block, self.side

    def latency_s(self, case: str) -> float:
        """The median of a case's samples, seconds."""
        return median(self.samples_s[case])

    def anchor_s(self, name: str) -> float:
        """The middle of an anchor's readings, seconds."""
        return median(reading[name] for reading in self.anchors)


def encode_result(result: ProcessResult) -> str:
    """One line of JSON.

    Raises InputError for a number that is none.
    """
    try:
        return json.dumps(asdict(result), allow_nan=False, separators=(",", ":"))
    except ValueError as error:
        raise InputError(f"what a process measured has no JSON form ({error}).") from None


def decode_result(line: str) -> ProcessResult:
    """What ``encode_result`` wrote.

    Raises InputError for a line that is none, or whose latencies are no positive numbers.
    """
    result = build(ProcessResult, parse_object(line))
    readings = [value for reading in result.anchors for value in reading.values()]
    samples = [value for values in result.samples_s.values() for value in values]
    if any(value <= 0 for value in (*readings, *samples)) or not all(result.samples_s.values()):
        raise InputError("a process of the gate has a latency that is no positive number.")
    return result
