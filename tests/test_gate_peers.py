"""What asv and pytest-benchmark print is read for what they decided; their own rule is asked, not written again."""

from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest

from benchmarks import gate_peers
from benchmarks.gate_peers_read import (
    ALIKE,
    FASTER,
    SLOWER,
    Compared,
    asv_comparisons,
    asv_on_doubled,
    measuring_s,
    pytest_comparisons,
    pytest_failures,
)
from benchmarks.gate_peers_run import PATCHES, ROOT, SPIN, make_clone

# asv 0.6.6, shortened; the rows of two runs, and one large ratio that it does not believe.
ASV = """\
[100.00%] ··· ======================== ============ ===== =====
                       dense            82.8±0.6μs   n/a   n/a
              ======================== ============ ===== =====

All benchmarks:

| Change   | Before [79e669db]    | After [f0ea3f45]    | Ratio   | Benchmark (Parameter)                        |
|----------|----------------------|---------------------|---------|----------------------------------------------|
|          | n/a                  | n/a                 | n/a     | layers.Called.time_forward('dense', 4)       |
| +        | 82.1±1μs             | 93.6±0.8μs          | 1.14    | layers.Called.time_forward('dense', 0)       |
|          | 91.0±2μs             | 83.5±2μs            | 0.92    | layers.Called.time_forward('tree-unit', 0)   |
| -        | 531±20μs             | 454±20μs            | 0.86    | layers.Called.time_forward('tree-shared', 4) |
|          | 401±90μs             | 496±20μs            | ~1.24   | layers.Called.time_forward('tree-bias', 4)   |

SOME BENCHMARKS HAVE CHANGED SIGNIFICANTLY.
PERFORMANCE DECREASED.
"""
# The same run's progress, with the second at which each line came.
PROGRESS = [
    (0.0, "· Creating environments"),
    (1.0, "· Discovering benchmarks"),
    (5.0, "· Running 2 total benchmarks (2 commits * 1 environments * 1 benchmarks)"),
    (5.0, "[ 0.00%] · For capratio commit 79e669db (round 1/2):"),
    (9.0, "[ 0.00%] ·· Building for virtualenv-py3.11"),
    (9.5, "[ 0.00%] ·· Benchmarking virtualenv-py3.11"),
    (12.0, "[25.00%] ··· Running (layers.Called.time_forward--)."),
    (13.0, "[25.00%] · For capratio commit 080ee011 (round 1/2):"),
    (14.0, "[25.00%] ·· Building for virtualenv-py3.11"),
    (14.5, "[25.00%] ·· Benchmarking virtualenv-py3.11"),
    (17.0, "[50.00%] ··· layers.Called.time_forward    ok"),
]
FIRST = "test_case[tree-shared[collapsed]/p256-q256-k4/n1/float32/cpu/decode/warm/text+measured/auto/t1]"
SECOND = "test_case[tree-shared[collapsed]/p256-q256-k8/n1/float32/cpu/decode/warm/text+measured/auto/t1]"
# pytest-benchmark 5.3.1, shortened: a row of its table, and what it failed on.
PYTEST = f"""\
Comparing against benchmarks from: Linux-CPython-3.11-64bit/0001_base.json
{FIRST} (0001_base)     33.9010 (1.0)       65.9790 (1.50)     37.1247 (1.0)
--------------------------------------------------------------------------------
Performance has regressed:
\t{FIRST} (0001_base) - Field 'mean' has failed PercentageRegressionCheck: 19.047819083 > 5.000000000
--------------------------------------------------------------------------------
"""


def test_asv_s_marks_are_its_decisions_and_skips_are_left_out() -> None:
    assert asv_comparisons(ASV) == [
        Compared("layers.Called.time_forward('dense', 0)", SLOWER, 1.14),
        Compared("layers.Called.time_forward('tree-unit', 0)", ALIKE, 0.92),
        Compared("layers.Called.time_forward('tree-shared', 4)", FASTER, 0.86),
        Compared("layers.Called.time_forward('tree-bias', 4)", ALIKE, 1.24),
    ]


def test_output_without_a_table_compares_nothing() -> None:
    assert asv_comparisons("· No environments selected\n") == []


def test_installing_a_commit_is_not_measuring() -> None:
    assert measuring_s(PROGRESS, 18.0) == (13.0 - 9.5) + (18.0 - 14.5)


def test_pytest_benchmark_names_what_failed() -> None:
    assert pytest_failures(PYTEST) == {FIRST: 19.047819083}
    base, head = {FIRST: 2.0, SECOND: 4.0}, {FIRST: 3.0, SECOND: 3.0}
    assert pytest_comparisons(PYTEST, base, head) == [Compared(FIRST, SLOWER, 1.5), Compared(SECOND, ALIKE, 0.75)]


@pytest.mark.parametrize("base, head", [({}, {}), ({FIRST: 1.0, SECOND: 1.0}, {FIRST: 1.0})])
def test_sides_of_other_benchmarks_are_refused(base: dict[str, float], head: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="differ"):
        pytest_comparisons(PYTEST, base, head)


@pytest.mark.parametrize("processes, called", [(5, SLOWER), (6, ALIKE), (7, SLOWER)])
def test_asv_misses_twice_the_time_at_six_processes_a_side_alone(processes: int, called: str) -> None:
    assert asv_on_doubled(processes)["called"] == called


def test_asv_s_p_at_six_a_side_cannot_reach_its_bar() -> None:
    said = asv_on_doubled(6)

    assert said["mann_whitney_p"] == pytest.approx(2 / 924)
    assert said["mann_whitney_p"] > said["bar"]


@pytest.mark.parametrize("tool", PATCHES)
def test_a_slower_commit_is_python_and_wraps_a_name_that_its_file_defines(tool: str) -> None:
    name, wrapper = PATCHES[tool]
    wrapped = wrapper.partition(" = ")[2].partition("\n")[0]
    source = (ROOT / name).read_text()

    compile(source + SPIN.format(share=0.1) + wrapper, name, "exec")

    assert f"\ndef {wrapped}(" in source


def test_a_checkout_is_no_clone_of_itself() -> None:
    with pytest.raises(ValueError, match="must not be"):
        make_clone(ROOT, "HEAD")


def run(tool: str, percent: int, called: str) -> dict[str, Any]:
    """A run of one comparison."""
    compared = [{"name": "n", "called": called, "ratio": 1.0}]
    code = int(called == SLOWER)
    return {"tool": tool, "percent": percent, "exit_code": code, "seconds": 90.0, "compared": compared}


def test_what_is_there_is_not_run_again() -> None:
    found = {"runs": [run("asv", 0, ALIKE), run("asv", 0, ALIKE), run("asv", 10, SLOWER)]}

    assert gate_peers.missing(found, ["asv"], [0, 10], 2) == [("asv", 10)]
    assert gate_peers.missing(found, ["pytest"], [0, 10], 2) == [("pytest", 0), ("pytest", 10)] * 2


def test_the_table_counts_runs_and_comparisons() -> None:
    found = {"runs": [run("asv", 0, ALIKE), run("asv", 0, FASTER), run("pytest", 5, SLOWER)], "doubled": []}

    rows = gate_peers.summary(found).splitlines()[2:]

    assert ["asv", "nothing", "2", "0", "2", "0", "1", "1", "min", "30", "s", "-"] == rows[0].split()
    assert ["pytest", "+5", "%", "1", "1", "1", "1", "0", "1", "min", "30", "s", "-"] == rows[1].split()


def test_a_file_of_another_commit_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "peers.json"
    gate_peers.save(path, {"of": {"commit": "a"}, "runs": []})

    assert gate_peers.opened(path, {"commit": "a"})["runs"] == []
    with pytest.raises(ValueError, match="another commit"):
        gate_peers.opened(path, {"commit": "b"})


def test_the_defaults_are_three_runs_of_every_slowdown() -> None:
    options: Namespace = gate_peers.parsed(["--out", "peers.json"])

    assert (3, [0, 10, 5, 2], None) == (options.runs, options.percents, options.only)
