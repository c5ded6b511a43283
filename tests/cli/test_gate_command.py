"""``capratio gate files``: what it prints, the files it writes, and its exit code."""

import json
from pathlib import Path

import pytest

from capratio.cli.main import run

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


def test_json_and_markdown_are_written_and_hostile_names_stay_text(tmp_path: Path) -> None:
    name = "<img src=x>|`*\x1b[31m"
    sides = [benchmark_file(tmp_path / side, **{name: QUIET}) for side in ("base.json", "head.json")]

    options = [part for kind in ("json", "markdown", "junit") for part in (f"--{kind}", str(tmp_path / f"out.{kind}"))]
    assert 0 == run(["gate", "files", *sides, *options])

    assert "&lt;img" in (tmp_path / "out.junit").read_text()
    assert name == json.loads((tmp_path / "out.json").read_text())["decisions"][0]["case"]
    markdown = (tmp_path / "out.markdown").read_text()
    # An indented line is a block of code, in which nothing is markup.
    assert not any("<img" in line for line in markdown.splitlines() if not line.startswith("    "))
    assert "\x1b" not in markdown
    assert markdown.startswith("**Undecided: nothing regressed")


def test_a_policy_with_an_unknown_key_is_2(base: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    policy = tmp_path / "gate.toml"
    policy.write_text("alfa = 0.1")

    assert 2 == run(["gate", "files", base, base, "--policy", str(policy)])
    assert "the key 'alfa' is not known" in capsys.readouterr().err
