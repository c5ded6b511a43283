"""``capratio gate history``: what it prints, the file it writes, and its exit code."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from capratio.cli.gate_history_text import BARS, WIDTH, course
from capratio.cli.main import run

QUIET = [1.0 + 0.001 * (n * 7 % 10) for n in range(20)]
STEP = [*QUIET, *(1.1 * value for value in QUIET)]
STEADY = [*QUIET, *QUIET]


def write(results: Path, series: Mapping[str, Sequence[float]], machine: str = "m") -> str:
    """asv's folder of results with a commit a day: benchmark → its numbers."""
    folder = results / machine
    folder.mkdir(parents=True)
    (folder / "machine.json").write_text("{}")
    for place in range(max(map(len, series.values()))):
        found = {f"a.{name}": [[values[place]], [], "v"] for name, values in series.items() if place < len(values)}
        table = {
            "commit_hash": f"{place + 1:08x}" * 5,
            "date": 1_767_225_600_000 + place * 86_400_000,
            "env_name": "env",
            "params": {"machine": machine},
            "result_columns": ["result", "params", "version"],
            "results": found,
            "version": 2,
        }
        (folder / f"{place + 1:08x}-env.json").write_text(json.dumps(table))
    return str(results)


def test_a_step_that_stands_is_1_with_its_commit_its_date_and_its_size(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert 1 == run(["gate", "history", write(tmp_path / "results", {"time_x": STEP, "time_y": STEADY})])

    told = capsys.readouterr().out.splitlines()
    assert any(line.startswith("stepped") and "a.time_x" in line and "+10.00%" in line for line in told)
    assert any("00000015" in line and "2026-01-21" in line and "+10.00%" in line for line in told)
    assert not any("a.time_y" in line for line in told)
    assert "Lost more than a budget. 1 stepped, 1 steady." == told[-1]


@pytest.mark.parametrize(
    "name, values, code",
    [
        ("time_x", STEADY, 0),
        ("time_x", STEP[::-1], 0),
        ("track_efficiency", STEP[::-1], 1),
        ("track_something", STEP, 0),
        ("track_product_flop", [8, 8, 9], 1),
        ("time_x", QUIET[:3], 5),
    ],
)
def test_the_exit_code_is_whether_a_loss_stands(tmp_path: Path, name: str, values: list[float], code: int) -> None:
    assert code == run(["gate", "history", write(tmp_path / "results", {name: values})])


def test_asvs_own_folder_is_looked_at_unless_another_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / ".asv" / "results", {"time_x": STEP})
    monkeypatch.chdir(tmp_path)

    assert 1 == run(["gate", "history"])


def test_a_policy_and_a_pattern_choose_what_is_judged(tmp_path: Path) -> None:
    results = write(tmp_path / "results", {"time_x": STEP, "time_y": STEADY})
    policy = tmp_path / "gate.toml"
    policy.write_text('[[budgets]]\ncases = "*time_x"\nquantity = "latency"\nbudget = 0.2\nreason = "wanted"\n')

    assert 0 == run(["gate", "history", results, "--policy", str(policy)])
    assert 0 == run(["gate", "history", results, "--benchmarks", "*time_y"])
    assert 1 == run(["gate", "history", results, "--benchmarks", "*time_x"])


def test_nothing_to_look_at_is_5_in_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = write(tmp_path / "results", {"time_x": STEP})

    assert 5 == run(["gate", "history", results, "--benchmarks", "nothing"])
    assert "has no benchmark with a number that fits 'nothing'." in capsys.readouterr().out


def test_bad_input_is_2_in_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = write(tmp_path / "results", {"time_x": STEP})
    write(tmp_path / "results", {"time_x": STEP}, "n")

    assert 2 == run(["gate", "history", results])
    assert "has results of m, n; name one of them with --machine." in capsys.readouterr().err
    assert 1 == run(["gate", "history", results, "--machine", "n"])
    (tmp_path / "results" / "n" / "ffffffff-env.json").write_text('{"commit')
    assert 2 == run(["gate", "history", results, "--machine", "n"])
    assert "ffffffff-env.json cannot be read" in capsys.readouterr().err
    assert 2 == run(["gate", "history", str(tmp_path / "nowhere")])


def test_json_is_written_and_hostile_names_stay_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name, out = "time_\x1b[31m\u202e", tmp_path / "out.json"

    assert 1 == run(["gate", "history", write(tmp_path / "results", {name: STEP}), "--json", str(out)])

    (told,) = json.loads(out.read_text())["histories"]
    assert (f"a.{name}", "stepped", 40) == (told["benchmark"], told["status"], told["commits"])
    assert 1.1 == pytest.approx(told["drift"]["ratio"], abs=0.005)
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    assert "\u202e" not in shown


def test_a_course_rises_with_its_numbers_and_holds_a_line() -> None:
    assert BARS == course([2.0**n for n in range(8)])
    assert BARS[0] * 3 == course([5.0, 5.0, 5.0])
    assert WIDTH == len(course([float(n) for n in range(1000)]))
    assert f"{BARS[0]}{BARS[-1]}" == course([0.0, 4.0])


def test_help_has_an_example_and_imports_nothing_heavy() -> None:
    code = (
        "import sys; from capratio.cli.main import run; run(['gate', 'history', '--help']); "
        "print([m for m in ('numpy', 'scipy', 'asv', 'torch') if m in sys.modules])"
    )

    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60).stdout

    assert "capratio gate history .asv/results" in shown
    assert "[]" == shown.splitlines()[-1]
