"""The asv suite: no key that asv would pass over, numbers that are those of records, and skips with their reason."""

import importlib.util
import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
SUITE = ROOT / "benchmarks" / "asv_suite"
# asv takes a misspelt key for none. What its own configuration knows, beside the version of the format.
STRINGS = {
    "project",
    "project_url",
    "repo",
    "dvcs",
    "environment_type",
    "benchmark_dir",
    "env_dir",
    "results_dir",
    "html_dir",
}
LISTS = {"branches", "build_command", "install_command", "uninstall_command"}
NUMBERS = {"version", "install_timeout", "default_benchmark_timeout"}


@pytest.fixture(scope="module")
def suite() -> ModuleType:
    """The suite as asv imports it, as a package of its own."""
    spec = importlib.util.spec_from_file_location(
        "asv_suite", SUITE / "__init__.py", submodule_search_locations=[str(SUITE)]
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["asv_suite"] = module
    spec.loader.exec_module(module)
    module.layers = importlib.import_module("asv_suite.layers")  # type: ignore[attr-defined]
    module.records = importlib.import_module("asv_suite.records")  # type: ignore[attr-defined]
    return module


def wrong_keys(config: dict[str, Any]) -> list[str]:
    """The keys that asv does not know, or whose values have another type than it reads."""
    from asv.config import Config

    known = {*vars(Config()), "version"}
    kinds = [(STRINGS, str), (LISTS, list), (NUMBERS, int)]
    fitting = {key for keys, kind in kinds for key in keys if isinstance(config.get(key), kind)}
    return sorted(config.keys() - (known & fitting))


def test_the_configuration_has_only_keys_that_asv_knows() -> None:
    config = json.loads((ROOT / "asv.conf.json").read_text())

    assert [] == wrong_keys(config)
    assert ["hmtl_dir"] == wrong_keys(config | {"hmtl_dir": ".asv/html"})
    assert ["branches"] == wrong_keys(config | {"branches": "main"})
    assert (ROOT / config["benchmark_dir"] / "__init__.py").is_file()


def test_numbers_of_every_layer_are_tracked_with_their_units(suite: ModuleType) -> None:
    names = [name for name in vars(suite.layers.Tracked) if name.startswith("track_")]

    assert {"track_latency_s", "track_product_flop", "track_capacity_ratio", "track_efficiency"} <= set(names)
    assert all(getattr(suite.layers.Tracked, name).unit for name in names)


def test_what_a_commit_lacks_is_a_skip_with_its_reason(suite: ModuleType) -> None:
    measured = {("dense", 0): {"latency_s": 1e-3}}

    suite.layers.Tracked().setup(measured, "dense", 0)
    assert 1e-3 == suite.layers.tracked(measured, "dense", 0, "latency_s")
    assert math.isnan(suite.layers.tracked(measured, "dense", 0, "op_bytes"))
    with pytest.raises(NotImplementedError, match="no tree-unit at depth 4"):
        suite.layers.Tracked().setup(measured, "tree-unit", 4)
    with pytest.raises(NotImplementedError, match="cannot build tree-future"):
        suite.layers.forward("tree-future", 0)


def test_a_commit_that_measures_nothing_is_left_out_and_says_why(
    suite: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(suite.records, "SWEEP", "import sys; sys.exit('this commit has no sweep')")

    assert {} == suite.records.measure()
    assert "this commit has no sweep" in capsys.readouterr().err


def test_the_numbers_are_those_of_a_sweep_as_a_hand_counts_them(
    suite: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cases = tmp_path / "cases.toml"
    cases.write_text(
        'name = "tiny"\nreplicates = 1\n[sampling]\nmin_samples = 2\nmax_samples = 2\n[[cases]]\n'
        'layer = "tree-shared"\nform = "collapsed"\nin_features = 4\nout_features = 3\ndepth = 2\ntokens = 2\n'
        'input = "gaussian"\n'
    )
    monkeypatch.setattr(suite.records, "CASES", cases)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))

    (((layer, depth), numbers),) = suite.records.measure().items()

    assert ("tree-shared, collapsed", 2) == (layer, depth)
    # Two tokens of 4 · 3 multiplies and adds; four leaves of 12, and 3 biases.
    assert (48, 51) == (numbers["product_flop"], numbers["parameters"])
    assert numbers["latency_s"] > 0


def check(folder: Path, benchmark_dir: Path) -> subprocess.CompletedProcess[str]:
    """asv's own check of a suite, in this interpreter."""
    config = json.loads((ROOT / "asv.conf.json").read_text()) | {"repo": str(ROOT), "benchmark_dir": str(benchmark_dir)}
    (folder / "asv.conf.json").write_text(json.dumps(config))
    command = [sys.executable, "-m", "asv", "check", "--python=same", "--config", str(folder / "asv.conf.json")]
    return subprocess.run(
        command, cwd=folder, env=os.environ | {"HOME": str(folder)}, capture_output=True, text=True, timeout=200
    )


def test_asv_accepts_every_benchmark_and_would_see_a_wrong_one(tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(SUITE, broken, ignore=shutil.ignore_patterns("__pycache__"))
    layers = broken / "layers.py"
    layers.write_text(
        layers.read_text().replace("def time_forward(self, layer: str, depth: int)", "def time_forward(self)")
    )

    done, seen = check(tmp_path, SUITE), check(tmp_path, broken)

    assert done.returncode == 0, done.stdout + done.stderr
    assert seen.returncode != 0
    assert "time_forward" in seen.stdout + seen.stderr
