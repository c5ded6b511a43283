"""``capratio gate selftest``: planned, measured on a machine that is not there, published, and read again."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from capratio.cli.gate_selftest_runs import planned_runs
from capratio.cli.main import run
from capratio.gate import selftest as module
from capratio.gate.block_plan import BlockPlan
from capratio.gate.process_result import ProcessResult
from capratio.gate.side_process import MeasuredCase, SideEnvironment
from capratio.measure.machine import machine_identity
from tests.gate.peers_file import write_peers
from tests.gate.simulated import SimulatedMachine

POLICY = 'cases = "gate_cases.toml"\nblocks = [8, 16]\n'
CASES = """
name = "gate"
title = "Few cases"
analysis = "None."
[sampling]
min_samples = 10
max_samples = 20
time_limit_s = 0.1
case_time_limit_s = 60.0
[defaults]
in_features = 16
square = true
input = "gaussian"
[[cases]]
layer = "dense"
tokens = [1, 2, 4, 8]
"""
ENVIRONMENT = SideEnvironment("python", own=True, inside=())
BROKEN: list[str] = []
STARTED: list[BlockPlan] = []


class SimulatedProcesses:
    """Stands for ``SideProcesses``: nothing is started."""

    def __init__(self, base: SideEnvironment, head: SideEnvironment, cases: tuple[MeasuredCase, ...]) -> None:
        self._machine = SimulatedMachine(
            seed=round(100 * sum(head.slowdowns.values())), slowdowns=head.slowdowns, broken=next(iter(BROKEN), None)
        )

    def measure(self, plan: BlockPlan) -> dict[str, ProcessResult]:
        STARTED.append(plan)
        return self._machine(plan)


@pytest.fixture(autouse=True)
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A repository with a gate, in which nothing is built and no process started; few gates are dealt out."""
    root = tmp_path / "repository"
    (root / "ci").mkdir(parents=True)
    (root / "ci" / "gate.toml").write_text(POLICY)
    (root / "ci" / "gate_cases.toml").write_text(CASES)
    person = ["-c", "user.name=a", "-c", "user.email=a@example.invalid", "-c", "commit.gpgsign=false"]
    for arguments in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "-m", "Begin"]):
        subprocess.run(["git", *person, *arguments], cwd=root, check=True)
    monkeypatch.chdir(root)
    monkeypatch.setattr("capratio.cli.gate_session.build_sides", lambda *given: (ENVIRONMENT, ENVIRONMENT))
    monkeypatch.setattr("capratio.gate.side_process.SideProcesses", SimulatedProcesses)
    monkeypatch.setattr(module, "selftest", partial(module.selftest, gates=4))
    BROKEN.clear()
    STARTED.clear()
    yield root
    BROKEN.clear()


def selftest(*options: object) -> int:
    return run(["gate", "selftest", *map(str, options)])


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a folder by its name."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}


def test_slow_runs_stand_among_the_others_and_all_are_there() -> None:
    names = [each.name for each in planned_runs(10, 1)]

    assert 13 == len(set(names))
    assert ["equal-3", "slow-10-1", "equal-4"] == names[2:5]
    assert {"slow-10-1": 0.10, "slow-5-1": 0.05, "slow-2-1": 0.02} == {
        each.name: each.slowdown for each in planned_runs(10, 1) if each.slowdown
    }


def test_the_table_the_runs_and_the_verdict_are_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == selftest("--runs", 3, "--out", tmp_path / "runs")

    told = capsys.readouterr().out
    assert "whole runs of a commit against itself with a false regression" in told
    assert [f"equal-{place}" for place in (1, 2, 3)] == [
        line.split()[0] for line in told.splitlines() if line.startswith("equal-")
    ]
    assert any(line.startswith("slow-10-1 ") and "10 %" in line for line in told.splitlines())
    assert "goals." in told.splitlines()[-1]
    folder = tmp_path / "runs"
    assert {"equal-1", "equal-2", "equal-3", "slow-10-1", "slow-5-1", "slow-2-1", "selftest.json"} == {
        path.name for path in folder.iterdir()
    }


def test_the_same_command_measures_nothing_again_and_more_runs_are_added(tmp_path: Path) -> None:
    out = tmp_path / "runs"
    selftest("--runs", 1, "--slow-runs", 0, "--out", out)
    STARTED.clear()

    selftest("--runs", 1, "--slow-runs", 0, "--out", out)
    again = len(STARTED)
    selftest("--runs", 2, "--slow-runs", 0, "--out", out)

    assert 0 == again
    assert len(STARTED) > 0
    assert ["equal-1", "equal-2"] == [
        each["name"] for each in json.loads((out / "selftest.json").read_text())["result"]["runs"]
    ]


def test_a_report_is_made_again_from_its_data_alone_byte_by_byte(
    tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    peers = write_peers(tmp_path / "peers.json", machine_identity())
    first, second = tmp_path / "first", tmp_path / "second"
    assert 0 == selftest("--runs", 2, "--out", tmp_path / "runs", "--peers", peers, "--report", first)
    told = capsys.readouterr().out
    STARTED.clear()
    # The published folder is all that is left.
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(first, elsewhere)
    shutil.rmtree(tmp_path / "runs")
    shutil.rmtree(repository)
    monkeypatch.chdir(tmp_path)

    assert 0 == selftest("--from", elsewhere, "--report", second)

    assert [] == STARTED
    assert told.replace(str(first), str(second)) == capsys.readouterr().out
    assert contents(first) == contents(second)
    assert {"index.html", "index.md", "selftest.json", "peers.json", "power.svg", "power.png"} < set(contents(first))
    assert {f"{name}{end}" for name in ("equal-1", "slow-5-1") for end in (".json", ".jsonl.gz")} < set(contents(first))


def test_a_report_can_be_made_again_in_its_own_folder(tmp_path: Path) -> None:
    report = tmp_path / "report"
    selftest("--runs", 1, "--slow-runs", 0, "--out", tmp_path / "runs", "--report", report)
    before = contents(report)

    assert 0 == selftest("--from", report, "--report", report)

    assert before == contents(report)


def test_the_folder_of_the_runs_gives_the_same_report(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    selftest("--runs", 1, "--slow-runs", 0, "--out", runs, "--report", tmp_path / "first")

    selftest("--from", runs, "--report", tmp_path / "second")

    assert contents(tmp_path / "first") == contents(tmp_path / "second")


def test_no_path_of_the_machine_is_published(tmp_path: Path) -> None:
    selftest("--runs", 1, "--slow-runs", 0, "--out", tmp_path / "runs", "--report", tmp_path / "report")

    texts = [text for name, text in contents(tmp_path / "report").items() if name.endswith((".html", ".md", ".json"))]
    assert not any(str(tmp_path).encode() in text for text in texts)


def test_a_side_that_cannot_be_measured_is_5(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    BROKEN.append("head")

    assert 5 == selftest("--runs", 1, "--out", tmp_path / "runs")
    assert "capratio: equal-1: head cannot be measured: it does not import\n" in capsys.readouterr().err
    assert not (tmp_path / "runs" / "selftest.json").exists()


@pytest.mark.parametrize(
    "option", [["--runs", "3"], ["--out", "x"], ["--policy", "ci/gate.toml"], ["--slow-runs", "2"]]
)
def test_what_says_how_to_measure_does_not_go_with_from(
    tmp_path: Path, option: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert 2 == selftest("--from", tmp_path, *option)
    assert f"--from measures nothing; leave out {option[0]}" in capsys.readouterr().err


def test_a_folder_without_a_selftest_is_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert 2 == selftest("--from", tmp_path)
    assert "has no selftest.json" in capsys.readouterr().err


def test_a_run_whose_end_is_lost_is_2_and_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = tmp_path / "runs"
    selftest("--runs", 1, "--slow-runs", 0, "--out", runs)
    processes = runs / "equal-1" / "processes.jsonl"
    processes.write_text("".join(processes.read_text().splitlines(keepends=True)[:-1]))

    assert 2 == selftest("--from", runs)
    assert "the run equal-1 lacks a process of its block pair" in capsys.readouterr().err


def test_peers_that_cannot_be_read_are_2_before_anything_is_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert 2 == selftest("--runs", 1, "--out", tmp_path / "runs", "--peers", tmp_path / "nowhere.json")
    assert [] == STARTED
    assert "nowhere.json cannot be read" in capsys.readouterr().err


def test_peers_of_another_machine_are_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    peers = write_peers(tmp_path / "peers.json", {"cpu_model": "another"})

    assert 2 == selftest("--runs", 1, "--slow-runs", 0, "--out", tmp_path / "runs", "--peers", peers)
    assert "the peers were measured on another machine" in capsys.readouterr().err
