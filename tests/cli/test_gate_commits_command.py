"""``capratio gate BASE [HEAD]``: exit codes, outputs and runs that go on, on a machine that is not there."""

import importlib.util
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from capratio.cli.main import run
from capratio.gate.block_plan import HEAD, BlockPlan
from capratio.gate.process_result import ProcessResult
from capratio.gate.side_process import MeasuredCase, SideEnvironment
from tests.gate.simulated import SimulatedMachine

POLICY = 'cases = "gate_cases.toml"\nblocks = [8, 16]\n'
CASES = """
name = "gate"
[defaults]
in_features = 16
square = true
input = "gaussian"
[[cases]]
layer = "dense"
tokens = [1, 2, 4, 8]
"""
SLOW = "dense/p16-q16-k0/n4/float32/cpu/forward/warm/gaussian+measured/auto/t1"
ENVIRONMENT = SideEnvironment("python", own=True, inside=())
PERSON = ["-c", "user.name=a", "-c", "user.email=a@example.invalid", "-c", "commit.gpgsign=false"]
Machines = Callable[..., list[BlockPlan]]


@pytest.fixture(autouse=True)
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with a gate and two commits, in which nothing is built."""
    root = tmp_path / "repository"
    (root / "ci").mkdir(parents=True)
    (root / "ci" / "gate.toml").write_text(POLICY)
    (root / "ci" / "gate_cases.toml").write_text(CASES)
    for arguments in (
        ["init", "--quiet", "--initial-branch=main"],
        ["add", "."],
        ["commit", "--quiet", "-m", "Begin"],
        ["commit", "--quiet", "--allow-empty", "-m", "Go on"],
    ):
        subprocess.run(["git", *PERSON, *arguments], cwd=root, check=True)
    monkeypatch.chdir(root)
    monkeypatch.setattr("capratio.cli.gate_session.build_sides", lambda *given: (ENVIRONMENT, ENVIRONMENT))
    return root


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machines:
    """Puts a simulated machine in the place of processes; gives the list of the blocks that it then measures."""

    def put(stop_after: int | None = None, **given: object) -> list[BlockPlan]:
        simulated, measured = SimulatedMachine(**{"spread": 0.002, **given}), list[BlockPlan]()  # type: ignore[arg-type]

        class Processes:
            def __init__(self, base: SideEnvironment, head: SideEnvironment, cases: tuple[MeasuredCase, ...]) -> None:
                """Start nothing."""

            def measure(self, plan: BlockPlan) -> dict[str, ProcessResult]:
                if len(measured) == stop_after:
                    raise KeyboardInterrupt
                measured.append(plan)
                return simulated(plan)

        monkeypatch.setattr("capratio.gate.side_process.SideProcesses", Processes)
        return measured

    return put


def kept(root: Path) -> list[str]:
    return sorted(path.name[-2:] for path in (root / ".asv" / "gate").iterdir() if path.is_dir())


def test_equal_commits_pass_and_the_same_command_begins_another_run(
    repository: Path, machine: Machines, capsys: pytest.CaptureFixture[str]
) -> None:
    first = machine()
    assert 0 == run(["gate", "HEAD~1"])
    second = machine()
    assert 0 == run(["gate", "commits", "HEAD~1", "HEAD"])

    assert len(first) == len(second) == 9
    assert "Passed: nothing is slower than its budget. 4 unchanged." in capsys.readouterr().out
    assert ["-1", "-2"] == kept(repository)


def test_a_slower_case_is_1_named_and_written_wherever_it_is_asked_for(
    machine: Machines, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    machine(slowdowns={SLOW: 0.2})
    files = {name: tmp_path / f"gate.{name}" for name in ("json", "junit", "markdown", "html")}

    assert 1 == run(["gate", "HEAD~1", *(word for name, path in files.items() for word in (f"--{name}", str(path)))])

    assert f"The same work, counted exactly, runs slower: {SLOW} takes 1." in capsys.readouterr().out
    assert all(SLOW in path.read_text() or "n4" in path.read_text() for path in files.values())


def test_a_run_that_was_interrupted_goes_on_by_the_same_command(
    repository: Path, machine: Machines, capsys: pytest.CaptureFixture[str]
) -> None:
    before = machine(stop_after=4)
    assert 130 == run(["gate", "HEAD~1"])
    after = machine()
    assert 0 == run(["gate", "HEAD~1"])

    assert (4, 5) == (len(before), len(after))
    assert "going on after 8 processes that were measured before" in capsys.readouterr().err
    assert ["-1"] == kept(repository)


@pytest.mark.parametrize(
    "given, options, code, sentence",
    [
        ({"spread": 0.04}, ["--strict"], 3, "Undecided: nothing regressed, and not every case can be told."),
        ({"spread": 0.04}, [], 0, "Undecided: nothing regressed, and not every case can be told."),
        ({"anchor": lambda plan: 2e-3 if plan.side == HEAD else 1e-3}, [], 4, "Void: the machine moved"),
        (
            {"failing": lambda plan: {SLOW: "it crashed"} if plan.side == HEAD else {}},
            [],
            5,
            "failed at head: it crashed",
        ),
        ({"slowdowns": {SLOW: 0.2}}, ["--budget", "0.5"], 0, "Passed"),
        ({"slowdowns": {SLOW: 0.2}}, ["--only", "*/n1/*"], 0, "1 unchanged"),
        ({"slowdowns": {SLOW: 0.2}}, ["--exact"], 0, "Exact quantities alone were compared"),
        (
            {"failing": lambda plan: {SLOW: "it crashed"} if plan.side == HEAD else {}},
            ["--exact"],
            5,
            "Failed: a case that base has does not run at head.",
        ),
        ({"failing": lambda plan: dict.fromkeys(plan.cases, "no such layer")}, ["--exact"], 5, "Nothing was compared"),
        ({}, ["--time-limit", "0.5"], 0, "The time limit ended the run before its last look."),
    ],
)
def test_every_verdict_has_its_exit_code(
    machine: Machines,
    given: dict[str, object],
    options: list[str],
    code: int,
    sentence: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    machine(**given)

    assert code == run(["gate", "HEAD~1", *options])

    assert sentence in capsys.readouterr().out


def test_a_side_that_does_not_import_is_5_in_one_sentence(
    machine: Machines, capsys: pytest.CaptureFixture[str]
) -> None:
    machine(broken=HEAD)

    assert 5 == run(["gate", "HEAD~1"])

    assert "capratio: head cannot be measured: it does not import" == capsys.readouterr().err.splitlines()[-1]


def test_a_folder_that_holds_a_finished_gate_is_2(
    machine: Machines, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    machine()
    assert 0 == run(["gate", "HEAD~1", "--out", str(tmp_path / "run")])

    assert 2 == run(["gate", "HEAD~1", "--out", str(tmp_path / "run")])

    assert "holds a gate that is finished; give a new folder as --out" in capsys.readouterr().err


def test_without_asv_the_way_to_it_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr("capratio.cli.gate_session.find_spec", lambda name: None if name == "asv" else found(name))

    assert 2 == run(["gate", "HEAD~1"])

    assert "asv, which is not installed here; pip install 'capratio[asv]'" in capsys.readouterr().err
