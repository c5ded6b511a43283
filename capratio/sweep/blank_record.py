"""A record of a case that has no measurement yet: where it lies, and that it was not tried."""

import os
from datetime import UTC, datetime

from capratio.records.record import Record
from capratio.sweep.case import Case
from capratio.sweep.job import Job


def blank_record(case: Case, job: Job) -> Record:
    """A record of a case that has no measurement yet."""
    return Record(
        case=case.id,
        replicate=job.replicate,
        block=job.block,
        suite=case.suite,
        group=case.group,
        claims=case.claims,
        status="failed",
        reason="the case was not tried.",
        started_at=datetime.now(UTC).isoformat(timespec="seconds"),
        point=case.point,
        commit=job.commit,
        loadavg=os.getloadavg()[0],
    )
