"""``capratio profile`` prints where a case's time goes and leaves its trace, its table and what it printed."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from capratio.cli.main import run
from capratio.errors import NothingMeasuredError

CASE = "tree-shared/p8-q8-k2/n6/float32/cpu/forward/warm/gaussian+measured/reference/t1"


@pytest.fixture
def case_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KINETO_LOG_LEVEL", "6")
    path = tmp_path / "mine.toml"
    path.write_text(
        '[[cases]]\nlayer = "tree"\nin_features = 8\ndepth = 2\ntokens = 6\ninput = "gaussian"\nbackend = "reference"'
    )
    return path


def test_a_case_is_profiled_into_a_folder_and_said_in_a_sentence(
    case_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "profile"

    assert 0 == run(["profile", CASE, "--cases", str(case_file), "--out", str(out), "--calls", "2"])

    shown = capsys.readouterr().out
    assert CASE == shown.splitlines()[0]
    assert "% in capratio::path_linear" in shown
    assert "efficiency is" in shown
    assert "Ceilings, measured just before on cpu with 1 thread: " in shown
    assert shown.startswith((out / "profile.txt").read_text())
    assert json.loads((out / "trace.json").read_text())["traceEvents"]
    rows = list(csv.DictReader((out / "operations.csv").read_text().splitlines()))
    named = {(row["within"], row["operation"]): row for row in rows}
    assert int(named["", "capratio::path_linear"]["flop"]) > 0
    assert float(named["capratio::path_linear", "aten::mm"]["limit_s"]) > 0
    assert sum(float(row["share"]) for row in rows) <= 1.0


def test_an_unknown_id_is_bad_input_with_the_nearest_right_one(
    case_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = CASE.replace("k2", "k3")

    assert 2 == run(["profile", wrong, "--cases", str(case_file), "--out", str(tmp_path / "profile")])

    said = capsys.readouterr().err
    assert f"no case has the id '{wrong}'; the nearest are {CASE}" in said
    assert 1 == len(said.splitlines())
    assert not (tmp_path / "profile").exists()


def test_a_file_that_is_not_there_is_bad_input(case_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert 2 == run(["profile", CASE, "--cases", "quik"])

    assert "did you mean 'quick'?" in capsys.readouterr().err


def test_without_calls_nothing_is_profiled(case_file: Path) -> None:
    assert 2 == run(["profile", CASE, "--cases", str(case_file), "--calls", "0"])


def test_a_wrong_answer_is_one_sentence_and_the_code_of_nothing_measured(
    case_file: Path,
    tmp_path: Path,
    stand_in: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    def wrong(*_: object) -> None:
        raise NothingMeasuredError("tree is wrong: the output of token 0 is 9 tolerances away.")

    stand_in("capratio.sweep.profile_case", profile_case=wrong)

    assert 5 == run(["profile", CASE, "--cases", str(case_file), "--out", str(tmp_path / "profile")])

    assert "capratio: tree is wrong: the output of token 0 is 9 tolerances away.\n" == capsys.readouterr().err
