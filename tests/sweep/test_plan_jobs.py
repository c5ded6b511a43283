"""Which processes a sweep starts, and in which order."""

from dataclasses import replace

from capratio.records.record import Point
from capratio.sweep.case import Case
from capratio.sweep.job import decode_job, plan_jobs
from tests.sweep.points import POINT


def cases(*points: Point, replicates: int = 3) -> list[Case]:
    return [Case(point, "suite", "group", replicates, ("parameters",)) for point in points]


def test_cases_of_one_layer_share_a_process_and_other_layers_have_their_own() -> None:
    several = cases(POINT, replace(POINT, tokens=8), replace(POINT, depth=1))

    jobs = plan_jobs(several, frozenset(), 0.0, None)

    assert 2 * 3 == len(jobs)
    assert all(len({case.point.depth for case in job.cases}) == 1 for job in jobs)


def test_a_replicate_is_finished_before_the_next_begins() -> None:
    jobs = plan_jobs(cases(POINT, replace(POINT, depth=1)), frozenset(), 0.0, None)

    assert [0, 0, 1, 1, 2, 2] == [job.replicate for job in jobs]
    assert list(range(6)) == [job.block for job in jobs]


def test_only_what_is_missing_is_planned() -> None:
    several = cases(POINT, replace(POINT, tokens=8), replicates=1)

    jobs = plan_jobs(several, frozenset({(several[0].id, 0)}), 0.0, None)

    assert [(several[1].id,)] == [tuple(case.id for case in job.cases) for job in jobs]


def test_a_job_survives_the_way_to_its_process() -> None:
    (job,) = plan_jobs(cases(POINT, replicates=1), frozenset(), 12.5, "abc")

    assert job == decode_job(job.encode())


def test_backends_have_processes_of_their_own_unless_they_are_measured_side_by_side() -> None:
    alone = cases(POINT, replace(POINT, backend="auto"), replace(POINT, backend="auto", tokens=2), replicates=1)
    beside = [replace(case, side_by_side=True) for case in alone]

    assert 2 == len(plan_jobs(alone, frozenset(), 0.0, None))
    (job,) = plan_jobs(beside, frozenset(), 0.0, None)
    assert {case.id for case in beside} == {case.id for case in job.cases}
    assert job == decode_job(job.encode())


def test_side_by_side_keeps_layers_apart() -> None:
    beside = [replace(case, side_by_side=True) for case in cases(POINT, replace(POINT, depth=1), replicates=1)]

    assert 2 == len(plan_jobs(beside, frozenset(), 0.0, None))
