"""``capratio sweep`` hands its files to the plan or the runner and says how it ended."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from capratio.cli.main import run

Stand = Callable[..., None]
FAILED = ("tree-shared/p8-q8-k1", 2, "timed-out", "it ran longer than 60 s.")


@pytest.fixture
def bundled(stand_in: Stand, tmp_path: Path) -> Path:
    """The one bundled case file, named quick."""
    path = tmp_path / "quick.toml"
    path.write_text("")
    stand_in("capratio.sweep.case_file", bundled_case_files=lambda: {"quick": path}, read_claims=lambda files: [])
    return path


@pytest.mark.parametrize(
    "measured, failed, skipped, code",
    [(3, [], 0, 0), (2, [FAILED], 0, 0), (0, [FAILED], 4, 0), (0, [], 4, 0), (0, [FAILED], 0, 5)],
)
def test_the_exit_code_is_5_only_when_cases_were_tried_and_none_has_a_record(
    measured: int,
    failed: list[tuple[str, int, str, str]],
    skipped: int,
    code: int,
    bundled: Path,
    stand_in: Stand,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    outcome = SimpleNamespace(measured=measured, failed=failed, failed_before=[], skipped=skipped)
    given: list[object] = []

    def run_sweep(
        files: list[Path], out: Path, only: str | None, observer: object, device: str | None
    ) -> SimpleNamespace:
        given.append((files, out, only, device))
        return outcome

    stand_in("capratio.sweep.runner", run_sweep=run_sweep)

    assert code == run(["sweep", "quick", "--out", str(tmp_path / "run"), "--only", "tree*", "--device", "cuda"])

    assert [([bundled], tmp_path / "run", "tree*", "cuda")] == given
    shown = capsys.readouterr().out
    assert f"{measured} measured, {skipped} measured before, {len(failed)} without a measurement" in shown
    assert bool(failed) == ("it ran longer than 60 s." in shown)


def test_replicates_that_failed_alike_are_one_row(
    bundled: Path, stand_in: Stand, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    again = ("tree-shared/p8-q8-k1", 3, "timed-out", "it ran longer than 60 s, too.")
    outcome = SimpleNamespace(measured=1, failed=[FAILED, again], failed_before=[], skipped=0)
    stand_in("capratio.sweep.runner", run_sweep=lambda *given: outcome)

    assert 0 == run(["sweep", "quick", "--out", str(tmp_path / "run")])

    shown = capsys.readouterr().out
    assert "tree-shared/p8-q8-k1: timed-out in 2 processes\n  it ran longer than 60 s.\n" in shown
    assert "too." not in shown


def test_what_failed_before_is_told_again_with_the_way_to_try_it(
    bundled: Path, stand_in: Stand, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outcome = SimpleNamespace(measured=0, failed=[], failed_before=[FAILED], skipped=0)
    stand_in("capratio.sweep.runner", run_sweep=lambda *given: outcome)

    assert 5 == run(["sweep", "quick", "--out", str(tmp_path / "run")])

    shown = capsys.readouterr().out
    assert "0 measured, 0 measured before, 1 without a measurement" in shown
    assert "it ran longer than 60 s." in shown
    assert "give a new folder as --out" in shown


def test_a_plan_measures_nothing_and_needs_no_folder(
    bundled: Path, stand_in: Stand, capsys: pytest.CaptureFixture[str]
) -> None:
    cases = [
        SimpleNamespace(case="dense/p8-q8-k0", replicates=3, estimated_bytes=1024, fits=True),
        SimpleNamespace(case="tree-shared/p8-q8-k1", replicates=3, estimated_bytes=3 << 20, fits=True),
        SimpleNamespace(case="tree-shared/p8-q8-k9", replicates=3, estimated_bytes=9 << 40, fits=False),
    ]
    planned = SimpleNamespace(cases=cases, processes=4, estimated_s=72.0)
    stand_in("capratio.sweep.plan", plan=lambda files, only, device: planned)

    assert 0 == run(["sweep", "quick", "--plan"])

    lines = capsys.readouterr().out.splitlines()
    assert ["tree-shared/p8-q8-k1", "3", "3.00", "MiB"] == lines[3].split()
    assert lines[4].endswith("refused: more than is free")
    assert "3 cases, 1 refused; 6 replicates in 4 processes, about 1 min 12 s, at most 3.00 MiB at a time" == lines[-1]


@pytest.mark.parametrize(
    ("fits", "last"),
    [
        (True, "1 case, 3 replicates in 4 processes, about 1 min 12 s, at most 1.00 KiB at a time"),
        (False, "1 case, 1 refused: none fits the memory that is free now, so that nothing would be measured"),
    ],
)
def test_a_plan_says_what_is_refused_only_where_something_is(
    fits: bool, last: str, bundled: Path, stand_in: Stand, capsys: pytest.CaptureFixture[str]
) -> None:
    case = SimpleNamespace(case="dense/p8-q8-k0", replicates=3, estimated_bytes=1024, fits=fits)
    planned = SimpleNamespace(cases=[case], processes=4, estimated_s=72.0)
    stand_in("capratio.sweep.plan", plan=lambda files, only, device: planned)

    assert 0 == run(["sweep", "quick", "--plan"])

    assert last == capsys.readouterr().out.splitlines()[-1]


def test_without_a_folder_nothing_is_measured(bundled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert 2 == run(["sweep", "quick"])

    assert "Missing option '--out'" in capsys.readouterr().err


def test_a_file_that_is_not_there_is_named_with_the_nearest(bundled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert 2 == run(["sweep", "quik", "--plan"])

    assert "did you mean 'quick'?" in capsys.readouterr().err


def test_an_unknown_claim_is_named_with_its_file_and_group(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('[[cases]]\nlayer = "dense"\nin_features = 3\nclaims = "parametres"')

    assert 2 == run(["sweep", str(path), "--plan"])

    assert (
        f"capratio: {path}: cases[1]: claims names 'parametres', which is not known; did you mean 'parameters'?\n"
        == capsys.readouterr().err
    )
