"""``capratio profile`` prints where a case's time goes and leaves its trace, its table and what it printed."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from capratio.cli.main import run
from capratio.errors import NothingMeasuredError
from capratio.sweep.case import Case

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


def profiled(stand_in: Callable[..., None], *arguments: str) -> tuple[int, list[str]]:
    """The exit code, and the id of the case that would be profiled."""
    ids: list[str] = []

    def note(case: Case, *_: object) -> None:
        ids.append(case.id)
        raise NothingMeasuredError("nothing is profiled here.")

    stand_in("capratio.sweep.profile_case", profile_case=note)
    return run(["profile", *arguments]), ids


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            ["tree", "--set", "depth=2", "--tokens", "6", "--input", "gaussian", "--backend", "reference"],
            CASE,
        ),
        (
            ["moe-sparse", "--set", "experts=4", "--pass", "train", "--threads", "2"],
            "moe-sparse[experts=4]/p8-q8-k0/n1/float32/cpu/train/warm/text+measured/auto/t2",
        ),
        (
            ["mine.layers:A", "--device", "cuda", "--cache", "cold"],
            "mine.layers:A/p8-q8-k0/n1/float32/cuda/forward/cold/text+measured/module/t1",
        ),
    ],
)
def test_a_layer_is_described_as_for_a_sweep(
    arguments: list[str], expected: str, stand_in: Callable[..., None]
) -> None:
    assert (5, [expected]) == profiled(stand_in, "--in-features", "8", "--layer", *arguments)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "Give CASE, or one layer, as --layer ID or --layer package.module:Class"),
        ([CASE, "--layer", "tree", "--in-features", "8"], "Give CASE, or one layer"),
        ([CASE, "--tokens", "2"], "--set, --device, sizes and passes describe a --layer"),
        ([CASE, "--device", "cpu"], "--set, --device, sizes and passes describe a --layer"),
        (["--layer", "tree"], "Missing option '--in-features'"),
        (["--layer", "tree", "--in-features", "8", "--cases", "quick"], "--cases says where CASE is looked for"),
        (["--layer", "tree", "--in-features", "8", "--tokens", "1", "--tokens", "2"], "these options describe 2"),
        (["--layer", "tre", "--in-features", "8"], "--layer: the layer 'tre' is not known; did you mean 'tree'?"),
    ],
)
def test_what_is_no_single_case_is_bad_input(
    arguments: list[str], sentence: str, stand_in: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    assert (2, []) == profiled(stand_in, *arguments)

    said = capsys.readouterr().err
    assert sentence in said
    assert 1 == len(said.splitlines())
