"""``capratio verdict`` prints every verdict, and its exit code is the worst of them."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from capratio.cli.main import run

Stand = Callable[..., None]


def verdict(status: str) -> SimpleNamespace:
    """A verdict with this status."""
    return SimpleNamespace(
        claim="path-latency-over-depth",
        group="line-k",
        title="Latency over depth",
        text="Overhead grows with depth.",
        kind="fitted",
        status=status,
        quantity="exponent",
        expected=1.0,
        estimate=1.02,
        low=0.97,
        high=1.08,
        margin=0.15,
        regime="N = 1, cold",
        points=(),
        breaks=(),
        advice="It needs depths up to 14." if status == "undecided" else None,
        sentence=f"The exponent lies in [0.97, 1.08], so the law {status}.",
    )


def run_of(torn: bool = False, done: int = 0, planned: int = 0) -> SimpleNamespace:
    """A run without records of which so much is there."""
    return SimpleNamespace(records=(), machine={}, torn=torn, planned_done=done, planned_count=planned)


@pytest.mark.parametrize(
    "statuses, strict, code",
    [
        (["holds"], False, 0),
        (["holds"], True, 0),
        (["holds", "undecided"], False, 0),
        (["holds", "undecided"], True, 3),
        (["holds", "broken"], False, 1),
        (["undecided", "broken"], True, 1),
        ([], False, 0),
        ([], True, 3),
    ],
)
def test_a_broken_law_is_1_and_an_undecided_one_3_under_strict(
    statuses: list[str], strict: bool, code: int, stand_in: Stand, capsys: pytest.CaptureFixture[str]
) -> None:
    stand_in("capratio.records.store", read_run=lambda path: run_of())
    stand_in("capratio.scaling.judge", judge=lambda records, machine: [verdict(status) for status in statuses])

    assert code == run(["verdict", "run", *(["--strict"] if strict else [])])

    shown = capsys.readouterr().out
    assert len(statuses) == shown.count("1.02")
    assert ("undecided" in statuses) == ("It needs depths up to 14." in shown)


@pytest.mark.parametrize(
    "given, said",
    [
        ({"torn": True}, "The last line of the records is torn"),
        ({"done": 3, "planned": 1200}, "3 of 1,200 planned measurements are there; the same sweep goes on."),
    ],
)
@pytest.mark.parametrize("strict, status, code", [(True, "holds", 3), (False, "holds", 0), (True, "broken", 1)])
def test_an_unfinished_run_says_so_and_is_not_whole_under_strict(
    given: dict[str, Any],
    said: str,
    strict: bool,
    status: str,
    code: int,
    stand_in: Stand,
    capsys: pytest.CaptureFixture[str],
) -> None:
    stand_in("capratio.records.store", read_run=lambda path: run_of(**given))
    stand_in("capratio.scaling.judge", judge=lambda records, machine: [verdict(status)])

    assert code == run(["verdict", "run", *(["--strict"] if strict else [])])

    assert said in capsys.readouterr().out


@pytest.mark.parametrize(
    "measured, status, code",
    [
        ([False], "holds", 5),
        ([False, False], "undecided", 5),
        ([False, True], "holds", 0),
        ([False], "broken", 1),
    ],
)
def test_a_run_in_which_every_case_failed_is_5(
    measured: list[bool], status: str, code: int, stand_in: Stand, capsys: pytest.CaptureFixture[str]
) -> None:
    records = [SimpleNamespace(measured=each, case="a case", status="crashed", reason="") for each in measured]
    stand_in("capratio.records.store", read_run=lambda path: SimpleNamespace(**{**vars(run_of()), "records": records}))
    stand_in("capratio.scaling.judge", judge=lambda records, machine: [verdict(status)])

    assert code == run(["verdict", "run"])

    assert "a case: crashed" in capsys.readouterr().out


def test_a_finished_run_says_nothing_of_its_plan(stand_in: Stand, capsys: pytest.CaptureFixture[str]) -> None:
    stand_in("capratio.records.store", read_run=lambda path: run_of(done=4, planned=4))
    stand_in("capratio.scaling.judge", judge=lambda records, machine: [verdict("holds")])

    assert 0 == run(["verdict", "run", "--strict"])

    assert "planned" not in capsys.readouterr().out
