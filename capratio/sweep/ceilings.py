"""The ceilings of a run: measured at its start and every ten minutes, and the limit of a record under them."""

import json
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

from capratio.cost import Ceilings, limit
from capratio.errors import NothingMeasuredError
from capratio.records.record import Limit, Record
from capratio.records.store import append_ceilings
from capratio.sweep.process import run_process

# Often enough to follow a shared machine, seldom enough to cost 1 % of a run, and 4 % where it is busy.
REFRESH_S = 600.0
TIME_BUDGET_S = 5.0
SILENCE_LIMIT_S = 180.0
# A record cannot stand out above ceilings that are known no better than this.
WIDE_SPREAD = 0.25
MOST_TRIES = 3


@dataclass(slots=True)
class RunCeilings:
    """Ceilings for each device and number of threads.

    They are measured while no case is: two processes at once would spoil both.

    out: the run's folder. dtypes: names for which a product rate is measured. run_started_s: Unix time.
    """

    out: Path
    dtypes: tuple[str, ...]
    run_started_s: float
    _latest: dict[tuple[str, int], Ceilings] = field(default_factory=dict)

    def refresh(self, device: str, threads: int) -> None:
        """Measure the ceilings where there are none, or they are older than ten minutes."""
        known = self._latest.get((device, threads))
        if known is None or self._now_s() - known.measured_at_s > REFRESH_S:
            self.measure(device, threads)

    def latest(self, device: str, threads: int) -> Ceilings:
        """The ceilings that were measured last."""
        return self._latest[device, threads]

    def measure(self, device: str, threads: int) -> Ceilings:
        """Measure the ceilings in a process of their own, again where a busy machine spread them; append the best."""
        tries = [self._measured(device, threads)]
        while tries[-1].spread > WIDE_SPREAD and len(tries) < MOST_TRIES:
            tries.append(self._measured(device, threads))
        best = min(tries, key=lambda each: each.spread)
        append_ceilings(self.out, best.to_dict())
        self._latest[device, threads] = best
        return best

    def _measured(self, device: str, threads: int) -> Ceilings:
        asked = {
            "device": device,
            "threads": threads,
            "dtypes": self.dtypes,
            "time_budget_s": TIME_BUDGET_S,
            "measured_at_s": self._now_s(),
        }
        for event in run_process("capratio.sweep.ceilings_worker", json.dumps(asked), threads, SILENCE_LIMIT_S):
            if isinstance(event, dict):
                return Ceilings.from_dict(event["ceilings"])
            raise NothingMeasuredError(f"the machine's ceilings could not be measured: {event.reason}")
        raise NothingMeasuredError("the machine's ceilings could not be measured: their process said nothing.")

    def _now_s(self) -> float:
        return time.time() - self.run_started_s


def with_limit(record: Record, ceilings: RunCeilings) -> Record:
    """The record with its roofline, where it has a closed form and something to do."""
    exact = record.exact
    if exact is None or record.timing is None or exact.compulsory_bytes is None:
        return record
    if exact.compulsory_bytes == 0 and not any(exact.flop.values()):
        # A batch without tokens.
        return record
    return replace(record, limit=_limit(record, ceilings.latest(record.point.device, record.point.threads)))


def checked_again(record: Record, ceilings: RunCeilings) -> Record:
    """A record that lies above its roof, under ceilings that are measured anew; it has no time if it stays there.

    A record faster than the machine's limit by more than the ceilings' own spread shows an error in a formula, so it is
    kept without its time, as ``wrong``.
    """
    ceilings.measure(record.point.device, record.point.threads)
    limited = with_limit(record, ceilings)
    if not above_roof(limited) or limited.limit is None or limited.timing is None:
        return limited
    limit_s, spread = limited.limit.limit_s, limited.limit.ceilings_spread
    reason = (
        f"its median of {limited.timing.latency_s:.3g} s lies under the machine's limit of {limit_s:.3g} s by more "
        f"than the ceilings' spread of {spread:.0%}; a formula of FLOP or bytes is wrong, or the machine was slower "
        "while its ceilings were measured."
    )
    return replace(limited, status="wrong", reason=reason, timing=None)


def above_roof(record: Record) -> bool:
    """Whether a record is faster than its limit by more than the ceilings' own spread."""
    if record.limit is None or record.timing is None:
        return False
    return record.timing.latency_s < record.limit.limit_s * (1.0 - record.limit.ceilings_spread)


def _limit(record: Record, ceilings: Ceilings) -> Limit:
    exact, point = record.exact, record.point
    assert exact is not None
    assert exact.compulsory_bytes is not None
    roof = limit(ceilings, sum(exact.flop.values()), exact.compulsory_bytes, point.cache, point.dtype)
    return Limit(roof.limit_s, roof.bound, roof.bandwidth_bytes_per_s, roof.flop_per_s, ceilings.spread)
