"""What one process measures: every case of one layer, form, p, q and k, once; and how it is told to.

Backends have processes of their own, except where they are measured side by side.
"""

import json
import random
from collections.abc import Iterable
from dataclasses import asdict, dataclass

from capratio.records.record import Point
from capratio.sweep.case import Case, Sampling


@dataclass(frozen=True, slots=True)
class Job:
    """One replicate of the cases that share a layer, measured in the order given by one fresh process.

    replicate: 0, 1, … block: the position of the process in the run. run_started_s: Unix time at which the run began.
    """

    cases: tuple[Case, ...]
    replicate: int
    block: int
    run_started_s: float
    commit: str | None = None

    @property
    def seed(self) -> int:
        """Of inputs and weights: equal for all layers of a replicate, so that they see the same tokens."""
        return 1000 + self.replicate

    def encode(self) -> str:
        """The job as one line of JSON."""
        return json.dumps(asdict(self))


def decode_job(line: str) -> Job:
    """The job that ``encode`` wrote."""
    fields = json.loads(line)
    cases = [
        case
        | {"point": Point(**case["point"]), "sampling": Sampling(**case["sampling"]), "claims": tuple(case["claims"])}
        for case in fields.pop("cases")
    ]
    return Job(cases=tuple(Case(**case) for case in cases), **fields)


def plan_jobs(
    cases: Iterable[Case],
    done: frozenset[tuple[str, int]],
    run_started_s: float,
    commit: str | None,
    first_block: int = 0,
) -> list[Job]:
    """The processes that are missing: replicate by replicate, in a seeded random order within each.

    A replicate of all layers lies close in time, so that what is compared is measured under like conditions; the random
    order keeps drift from falling on one layer.

    done: the keys (case id, replicate) that need no measurement. first_block: number of the first process.
    """
    cases = list(cases)
    jobs: list[Job] = []
    for replicate in range(max((case.replicates for case in cases), default=0)):
        shuffle = random.Random(replicate)
        processes: dict[tuple[object, ...], list[Case]] = {}
        for case in cases:
            if replicate < case.replicates and (case.id, replicate) not in done:
                processes.setdefault(_process_key(case), []).append(case)
        groups = list(processes.values())
        shuffle.shuffle(groups)
        for group in groups:
            shuffle.shuffle(group)
            jobs.append(Job(tuple(group), replicate, first_block + len(jobs), run_started_s, commit))
    return jobs


def _process_key(case: Case) -> tuple[object, ...]:
    point = case.point
    return (
        point.layer,
        point.form,
        point.in_features,
        point.out_features,
        point.depth,
        point.dtype,
        point.device,
        point.bias,
        point.gate,
        point.order,
        point.weight_gradient,
        tuple(sorted((point.options or {}).items())),
        None if case.side_by_side else point.backend,
        point.threads,
    )
