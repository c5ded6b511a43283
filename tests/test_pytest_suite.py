"""The pytest-benchmark suite runs cases of a case file and says what they count, as a hand counts it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CASES = """
name = "tiny"
replicates = 1
[sampling]
min_samples = 2
max_samples = 5
[defaults]
in_features = 4
out_features = 3
input = "gaussian"
[[cases]]
group = "dense"
layer = "dense"
tokens = 2
cache = ["warm", "cold"]
[[cases]]
group = "collapsed"
layer = "tree-shared"
form = "collapsed"
depth = 2
tokens = 2
pass = ["forward", "train"]
[[cases]]
layer = "moe-sparse"
tokens = 2
options = { experts = 2, top_k = 1, hidden = 2 }
[[cases]]
layer = "memory-table"
out_features = 4
tokens = 2
routing = "uniform"
options = { lookup = "ids", entries = 5 }
"""


@pytest.fixture(scope="module")
def benchmarks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, object]]:
    """What the suite wrote of five tiny cases, by layer and pass."""
    folder = tmp_path_factory.mktemp("suite")
    (folder / "tiny.toml").write_text(CASES)
    command = [sys.executable, "-m", "pytest", "benchmarks/pytest_suite", "--benchmark-only", "-p", "no:cacheprovider"]
    options = [f"--case-file={folder / 'tiny.toml'}", f"--benchmark-json={folder / 'out.json'}"]
    # A run of its own, also where this one is a worker of xdist, under which nothing is timed.
    alone = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_XDIST")}
    run = subprocess.run([*command, *options], cwd=ROOT, capture_output=True, text=True, timeout=200, env=alone)
    assert run.returncode == 0, run.stdout + run.stderr
    return {each["group"]: each for each in json.loads((folder / "out.json").read_text())["benchmarks"]}


def test_each_warm_case_is_timed_in_the_group_of_its_layer(benchmarks: dict[str, dict[str, object]]) -> None:
    trees = {"dense: forward", "tree-shared, collapsed: forward", "tree-shared, collapsed: train"}
    groups = {*trees, "moe-sparse: forward", "memory-table: forward"}

    assert groups == benchmarks.keys()
    assert all(each["stats"]["rounds"] == 5 for each in benchmarks.values())  # type: ignore[index]


def test_what_is_counted_stands_beside_the_times(benchmarks: dict[str, dict[str, object]]) -> None:
    dense, train = (benchmarks[group]["extra_info"] for group in ("dense: forward", "tree-shared, collapsed: train"))

    assert isinstance(dense, dict)
    assert isinstance(train, dict)
    # Two tokens of 4 · 3 multiplies and adds, and 3 biases each; 12 weights and 3 biases.
    assert (2 * 2 * 12 + 2 * 3, 2 * 2 * 12, 15, 15) == tuple(
        dense[name] for name in ("flop", "product_flop", "parameters", "touched_parameters")
    )
    # Three products a step; four leaves.
    assert (3 * 2 * 2 * 12, 4 * 12 + 3) == (train["product_flop"], train["parameters"])
    assert 0 < dense["efficiency"] < 1.5
    assert dense["limit_s"] > 0


def test_what_systems_reach_stands_there_too(benchmarks: dict[str, dict[str, object]]) -> None:
    mixture, table = (benchmarks[f"{layer}: forward"]["extra_info"] for layer in ("moe-sparse", "memory-table"))

    assert isinstance(mixture, dict)
    assert isinstance(table, dict)
    # Two tokens, each through 4 · 2 and 2 · 3 weights of one expert; two experts of these, and 2 · 4 · 2 of the gate.
    assert (56, 44) == (mixture["product_flop"], mixture["parameters"])
    # Two entries at most are added to two tokens of 4; five entries of 4 are held.
    assert (0, 2 * 4, 5 * 4) == (table["product_flop"], table["overhead_flop"], table["parameters"])
    # Distinct entries, of 4 elements each.
    assert table["touched_parameters"] == 4 * table["visits"]["entries"]
    assert 2 == mixture["visits"]["assignments"]
