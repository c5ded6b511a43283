"""``capratio gate files``: what it prints, the files it writes, and its exit code."""

import json
from pathlib import Path

import pytest

from capratio.cli.gate_outputs import Outputs, tell
from capratio.cli.main import run
from capratio.gate.comparison import Comparison
from capratio.gate.policy import Policy
from capratio.gate.sides import Side

QUIET = [1.0, 1.001, 1.002, 1.003, 1.004, 1.005, 1.006]


def benchmark_file(path: Path, **rounds_s: list[float]) -> str:
    """A file of pytest-benchmark."""
    benchmarks = [{"fullname": name, "stats": {"data": data}, "extra_info": {}} for name, data in rounds_s.items()]
    path.write_text(json.dumps({"machine_info": {}, "benchmarks": benchmarks}))
    return str(path)


@pytest.fixture
def base(tmp_path: Path) -> str:
    return benchmark_file(tmp_path / "base.json", a=QUIET)


@pytest.mark.parametrize(
    "factor, options, code",
    [
        (1.0, ["--independent-samples"], 0),
        (0.5, ["--independent-samples"], 0),
        (2.0, ["--independent-samples"], 1),
        (2.0, [], 0),
        (2.0, ["--strict"], 3),
        (1.0, ["--strict", "--independent-samples"], 0),
    ],
)
def test_the_exit_code_is_the_verdict(base: str, tmp_path: Path, factor: float, options: list[str], code: int) -> None:
    head = benchmark_file(tmp_path / "head.json", a=[value * factor for value in QUIET])

    assert code == run(["gate", "files", base, head, *options])


def test_a_regression_is_named_with_its_ratio(base: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    head = benchmark_file(tmp_path / "head.json", a=[2 * value for value in QUIET])

    run(["gate", "files", base, head, "--independent-samples"])

    told = capsys.readouterr().out.splitlines()
    assert any(line.startswith("regressed  a ") and "2.00" in line for line in told)
    assert "Regressed. 1 regressed." == told[-1]
    assert any("as declared" in line for line in told)


def test_too_few_processes_are_told_how_many_would_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # Twenty cases at 5 %: 1 in 400, and six against six give 1 in 924.
    sides = [
        benchmark_file(tmp_path / side, **{f"c{n}": QUIET[:3] for n in range(20)}) for side in ("b.json", "h.json")
    ]

    run(["gate", "files", *sides, "--independent-samples"])

    assert "20 cases with so few processes that no slowdown can be found; 20 together need at least 6 a side." in (
        capsys.readouterr().out
    )


def test_nothing_compared_is_5(base: str, tmp_path: Path) -> None:
    assert 5 == run(["gate", "files", base, benchmark_file(tmp_path / "head.json", b=QUIET)])


def test_a_file_that_is_not_there_is_2(base: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert 2 == run(["gate", "files", base, "nowhere.json"])
    assert "nowhere.json is not there" in capsys.readouterr().err


KINDS = ("json", "junit", "markdown", "html")


def test_every_file_is_written_and_hostile_names_stay_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = "<img src=x>|`*\x1b[31m"
    base = benchmark_file(tmp_path / "base.json", **{name: QUIET, f"{name} is gone": QUIET})
    head = benchmark_file(tmp_path / "head.json", **{name: QUIET})

    options = [part for kind in KINDS for part in (f"--{kind}", str(tmp_path / f"out.{kind}"))]
    assert 0 == run(["gate", "files", base, head, *options])

    assert "\x1b" not in capsys.readouterr().out
    assert "&lt;img" in (tmp_path / "out.junit").read_text()
    assert name == json.loads((tmp_path / "out.json").read_text())["decisions"][0]["case"]
    markdown = (tmp_path / "out.markdown").read_text()
    # An indented line is a block of code, in which nothing is markup.
    assert not any("<img" in line for line in markdown.splitlines() if not line.startswith("    "))
    assert "\x1b" not in markdown
    assert markdown.startswith("**Undecided: nothing regressed")
    page = (tmp_path / "out.html").read_text(encoding="utf-8")
    assert "<img" not in page
    assert "&lt;img src=x&gt;" in page
    assert "\x1b" not in page


def test_the_page_names_the_command_that_makes_it_again(base: str, tmp_path: Path) -> None:
    html = tmp_path / "the gate.html"

    run(["gate", "files", base, base, "--independent-samples", "--html", str(html)])

    page = html.read_text(encoding="utf-8")
    assert "✓</span> Passed: nothing is slower than its budget." in page
    assert f"capratio gate files {base} {base} --independent-samples --html &#39;{html}&#39;" in page


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_in_a_folder_that_is_not_there_is_2_before_anything_is_read(
    tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "nowhere" / "out"

    assert 2 == run(["gate", "files", "no-base", "no-head", f"--{kind}", str(path)])
    assert f"capratio: --{kind} {path}: there is no folder {path.parent}; make it, or give another path.\n" == (
        capsys.readouterr().err
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_given_for_a_file_is_2(tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert 2 == run(["gate", "files", "no-base", "no-head", f"--{kind}", str(tmp_path)])
    assert f"--{kind} {tmp_path} is a folder; give the path of a file in it." in capsys.readouterr().err


def test_help_names_every_file_that_can_be_written(capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == run(["gate", "files", "--help"])

    shown = capsys.readouterr().out
    assert [] == [kind for kind in (*KINDS, "strict") if f"--{kind}" not in shown]


def test_what_a_run_says_of_itself_is_told_everywhere(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    side = Side("runs/a", "run", {}, None, {})
    told = Comparison(side, side, (), (), 0, (), (), {}, None, ("Twelve blocks of <one> process a side.",))
    outputs = Outputs(False, *(tmp_path / kind for kind in KINDS))

    assert 5 == tell(told, Policy(), outputs, "capratio gate commits")

    assert "Twelve blocks of <one> process a side." in capsys.readouterr().out.splitlines()
    assert ["Twelve blocks of <one> process a side."] == json.loads((tmp_path / "json").read_text())["notes"]
    assert "- Twelve blocks of &lt;one&gt; process a side." in (tmp_path / "markdown").read_text().splitlines()
    assert "<li>Twelve blocks of &lt;one&gt; process a side." in (tmp_path / "html").read_text(encoding="utf-8")


def test_a_policy_with_an_unknown_key_is_2(base: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    policy = tmp_path / "gate.toml"
    policy.write_text("alfa = 0.1")

    assert 2 == run(["gate", "files", base, base, "--policy", str(policy)])
    assert "the key 'alfa' is not known" in capsys.readouterr().err
