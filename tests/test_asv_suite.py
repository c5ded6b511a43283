"""The asv suite: no key that asv would pass over, numbers that are those of records, and skips with their reason."""

import importlib.util
import json
import math
import os
import shutil
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from capratio.cost.spec import LAYERS
from capratio.cost.systems.table import SYSTEMS
from capratio.sweep.case_file import read_case_files

ROOT = Path(__file__).parent.parent
SUITE = ROOT / "benchmarks" / "asv_suite"
# asv takes a misspelt key for none and reads values as they come. What this configuration may say: one of some values,
# text, a list of texts that is not empty, or a number above zero.
SCHEMA: dict[str, Any] = {
    "version": {1},
    "project": {"capratio"},
    "project_url": str,
    "show_commit_url": str,
    "repo": str,
    "dvcs": {"git"},
    "branches": [str],
    "environment_type": {"virtualenv"},
    "benchmark_dir": str,
    "env_dir": str,
    "results_dir": str,
    "html_dir": str,
    "build_command": [str],
    "install_command": [str],
    "uninstall_command": [str],
    "install_timeout": int,
    "default_benchmark_timeout": int,
}
# What the machine can do takes longer to measure than the cases here, and is tested elsewhere.
WITHOUT_CEILINGS = (
    "from capratio.sweep import ceilings, runner; ceilings.RunCeilings.refresh = lambda *_: None; "
    "runner.with_limit = lambda record, _: record; "
)
OPTIONAL = {"project_url", "show_commit_url", "default_benchmark_timeout"}


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


def configuration() -> dict[str, Any]:
    read: dict[str, Any] = json.loads((ROOT / "asv.conf.json").read_text())
    return read


def wrong_keys(config: dict[str, Any]) -> list[str]:
    """The keys that are missing, not of the schema, or whose values do not fit it."""
    missing = SCHEMA.keys() - OPTIONAL - config.keys()
    wrong = {key for key, value in config.items() if key not in SCHEMA or not fits(value, SCHEMA[key])}
    return sorted(missing | wrong)


def fits(value: Any, rule: Any) -> bool:
    if isinstance(rule, set):
        return any(type(value) is type(allowed) and value == allowed for allowed in rule)
    if isinstance(rule, list):
        return isinstance(value, list) and bool(value) and all(fits(each, rule[0]) for each in value)
    return type(value) is rule and bool(value) and (rule is str or value > 0)


def test_the_configuration_follows_the_schema() -> None:
    config = configuration()

    assert [] == wrong_keys(config)
    assert (ROOT / config["benchmark_dir"] / "__init__.py").is_file()


def test_the_schema_has_only_keys_that_asv_reads() -> None:
    from asv.config import Config

    assert SCHEMA.keys() <= {*vars(Config()), "version"}


@pytest.mark.parametrize(
    "key, value",
    [
        ("hmtl_dir", ".asv/html"),
        ("version", 2),
        ("version", True),
        ("dvcs", "hg"),
        ("environment_type", "virtual_env"),
        ("branches", "main"),
        ("branches", []),
        ("branches", [None]),
        ("install_command", "python -m pip install {wheel_file}"),
        ("install_command", [["python", "-m", "pip"]]),
        ("benchmark_dir", ""),
        ("install_timeout", "1800"),
        ("install_timeout", True),
        ("default_benchmark_timeout", -1),
    ],
)
def test_the_schema_names_a_key_that_is_broken_on_purpose(key: str, value: Any) -> None:
    assert [key] == wrong_keys(configuration() | {key: value})


@pytest.mark.parametrize("key", sorted(SCHEMA.keys() - OPTIONAL))
def test_the_schema_names_a_key_that_is_missing(key: str) -> None:
    config = configuration()
    del config[key]

    assert [key] == wrong_keys(config)


def test_a_commit_is_installed_without_its_dependencies_again() -> None:
    commands = [*configuration()["install_command"], *configuration()["uninstall_command"]]

    # asv's own command has the first, by which each commit would install torch.
    assert not any("--force-reinstall" in command or "torch" in command for command in commands)


def test_numbers_of_every_layer_are_tracked_with_their_units(suite: ModuleType) -> None:
    names = [name for name in vars(suite.layers.Tracked) if name.startswith("track_")]

    assert {"track_latency_s", "track_product_flop", "track_capacity_ratio", "track_efficiency"} <= set(names)
    assert all(getattr(suite.layers.Tracked, name).unit for name in names)
    # By this word asv writes milliseconds where a number is one.
    assert "seconds" == suite.layers.Tracked.track_latency_s.unit


def test_the_series_are_those_of_the_cases(suite: ModuleType) -> None:
    keys = suite.records._keys(suite.records.CASES.read_text())
    tracked = [(layer, k) for layer in suite.layers.SERIES for k in suite.layers.DEPTHS]

    assert sorted(keys) == sorted(set(tracked) - set(suite.layers.LEFT_OUT))


def test_every_layer_of_the_package_is_tracked(suite: ModuleType) -> None:
    assert {*LAYERS, *SYSTEMS} == {series.partition(", ")[0] for series in suite.layers.SERIES}


def test_the_cases_are_read_by_this_commit(suite: ModuleType) -> None:
    cases = read_case_files([suite.records.CASES])

    assert sorted(suite.records._keys(suite.records.CASES.read_text())) == sorted(
        suite.records._key(asdict(case.point)) for case in cases
    )


def test_what_a_commit_lacks_is_one_skip_with_its_reason(suite: ModuleType) -> None:
    measured = {("dense", 0): {"latency_s": 1e-3}} | {("tree-bias", k): "no such layer" for k in (0, 4, 8)}

    suite.layers.say_why(measured, "dense", 0)
    assert 1e-3 == suite.layers.tracked(measured, "dense", 0, "latency_s")
    assert math.isnan(suite.layers.tracked(measured, "dense", 0, "op_bytes"))
    with pytest.raises(NotImplementedError, match="no tree-bias at k = 0, 4, 8: no such layer"):
        suite.layers.say_why(measured, "tree-bias", 0)
    for depth in (4, 8):
        suite.layers.say_why(measured, "tree-bias", depth)
        assert math.isnan(suite.layers.tracked(measured, "tree-bias", depth, "latency_s"))


def test_depths_that_are_missing_for_two_reasons_are_two_skips(suite: ModuleType) -> None:
    measured = {("tree-bias", 0): {"latency_s": 1e-3}, ("tree-bias", 4): "failed", ("tree-bias", 8): "refused"}

    suite.layers.say_why(measured, "tree-bias", 0)
    with pytest.raises(NotImplementedError, match="at k = 4: failed"):
        suite.layers.say_why(measured, "tree-bias", 4)
    with pytest.raises(NotImplementedError, match="at k = 8: refused"):
        suite.layers.say_why(measured, "tree-bias", 8)


def test_a_layer_that_cannot_be_built_is_a_skip_with_its_reason(suite: ModuleType) -> None:
    with pytest.raises(NotImplementedError, match="no tree-future at k = 0: layer='tree-future' is not known"):
        suite.layers.forward("tree-future", 0)


def test_every_tree_is_called_at_every_depth(suite: ModuleType) -> None:
    points = [(layer, k) for layer in suite.layers.TREES for k in suite.layers.DEPTHS]

    called = {point: suite.layers.forward(*point)() for point in set(points) - set(suite.layers.LEFT_OUT)}

    expected = (suite.layers.TOKENS, suite.layers.FEATURES)
    assert {expected} == {tuple(out.shape) for out in called.values()}
    assert all(out.isfinite().all() for out in called.values())


def test_a_commit_that_measures_nothing_says_why_for_every_point(
    suite: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(suite.records, "SWEEP", "import sys; sys.exit('this commit has no sweep')")

    measured = suite.records.measure()

    assert {"this commit has no sweep"} == set(measured.values())
    assert ("tree-unit, collapsed", 4) in measured


def test_what_a_commit_fails_to_measure_has_the_reason_of_its_record(suite: ModuleType) -> None:
    assert "timeout: 60 s were over" == suite.records._numbers({"status": "timeout", "reason": "60 s were over"})


@pytest.fixture(scope="module")
def measured(suite: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, int], Any]:
    """A sweep over a layer that this commit lacks, and a tree and a system of a hand's size."""
    cases = tmp_path_factory.mktemp("cases") / "tiny.toml"
    cases.write_text(
        'name = "tiny"\nreplicates = 1\n[sampling]\nmin_samples = 2\nmax_samples = 2\n[defaults]\nin_features = 4\n'
        'out_features = 3\ndepth = 2\ntokens = 2\ninput = "gaussian"\n'
        '[[cases]]\nlayer = "tree-future"\n[[cases]]\nlayer = "tree-shared"\nform = "collapsed"\n'
        '[[cases]]\nlayer = "moe-sparse"\ndepth = 0\noptions = { experts = 2, top_k = 1, hidden = 2 }\n'
    )
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(suite.records, "CASES", cases)
        monkeypatch.setattr(suite.records, "SWEEP", WITHOUT_CEILINGS + suite.records.SWEEP)
        monkeypatch.setenv("PYTHONPATH", str(ROOT))
        found: dict[tuple[str, int], Any] = suite.records.measure()
    return found


def test_a_layer_that_a_commit_lacks_leaves_the_others_measured(measured: dict[tuple[str, int], Any]) -> None:
    assert [("moe-sparse", 0), ("tree-future", 2), ("tree-shared, collapsed", 2)] == sorted(measured)
    # The commit's own words, without the folder that was made for this sweep.
    assert measured["tree-future", 2].startswith("capratio: cases.toml: cases[1]: the layer 'tree-future' is not known")


def test_the_numbers_are_those_of_a_sweep_as_a_hand_counts_them(measured: dict[tuple[str, int], Any]) -> None:
    numbers = measured["tree-shared, collapsed", 2]

    # Two tokens of 4 · 3 multiplies and adds; four leaves of 12, and 3 biases.
    assert (48, 51) == (numbers["product_flop"], numbers["parameters"])
    assert numbers["latency_s"] > 0
    system = measured["moe-sparse", 0]
    # Two tokens, each through 4 · 2 and 2 · 3 weights of one expert; two experts of these, and 2 · 4 · 2 of the gate.
    assert (56, 44) == (system["product_flop"], system["parameters"])
    assert 0 < system["touched_parameters"] <= 44


@pytest.mark.parametrize(
    "gpus, driver, expected",
    [
        (["NVIDIA H200"], "570.1", {"gpu": "NVIDIA H200", "driver": "570.1"}),
        ([], None, {"gpu": "none", "driver": "none"}),
    ],
)
def test_gpu_and_driver_are_told_to_asv(
    gpus: list[str], driver: str | None, expected: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = importlib.util.spec_from_file_location("asv_machine", ROOT / "benchmarks" / "asv_machine.py")
    assert spec is not None
    assert spec.loader is not None
    machine = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(machine)
    monkeypatch.setattr(machine, "gpu_names", lambda: gpus)
    monkeypatch.setattr(machine, "driver_version", lambda: driver)

    described = machine.described()

    assert described | expected == described
    assert {"os", "arch", "cpu", "num_cpu", "ram"} <= described.keys()


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
