"""The gate in a small repository of somebody else: the verdicts of real commits, and what can go wrong with them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from capratio.cli.main import run
from capratio.gate.commits import working_tree

HOME = Path(__file__).parents[2]
PYPROJECT = """
[build-system]
requires = ["setuptools>=68"]
build-backend = "setuptools.build_meta"

[project]
name = "slopes"
version = "0.1"

[tool.setuptools]
packages = ["slopes"]
"""
LAYER = """
import time

import torch
from torch import nn


class Slope(nn.Module):
    def __init__(self, features):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(features, features))

    def forward(self, x):
        return x @ self.weight
"""
TWICE = LAYER.replace("return x @ self.weight", "return x @ self.weight + 0 * (x @ self.weight)")
# A product takes some microseconds.
WAITS = LAYER.replace("return x", "time.sleep(0.002)\n        return x")
SOUND = "from torch import nn\n\n\ndef Layer():\n    return nn.Linear(64, 64)\n"
# What the working tree makes of layers that were sound at base: one ends its process, one is no Python. What becomes of
# one that never ends is tested with the processes themselves.
BROKEN = {
    "crashes": "import os\n\n\ndef Layer():\n    os._exit(7)\n",
    "misspelt": "def Layer(:\n",
}
# Two pairs of processes are the fewest that find anything at this alpha, and four tell an innocent commit on busy cores
# too. A shared machine moves a lot, and the slow commit is slower by far.
POLICY = 'cases = "gate_cases.toml"\nalpha = 0.3\nblocks = [4]\nanchor = 0.99\nlatency = 0.9\n'
# No honest process of one small layer is silent for so long.
SAMPLING = "[sampling]\nmin_samples = 5\nmax_samples = 20\ntime_limit_s = 0.05\ncase_time_limit_s = 10.0\n"
CASE = "slopes.layer:Slope[features=64]/p64/n16/float32/cpu/forward"


def git(folder: Path, *arguments: str) -> str:
    """What git says in a folder."""
    names = {f"GIT_{who}_{what}": "foreign" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ | names).stdout


def commit(folder: Path, name: str, **files: str) -> None:
    """A commit with a tag; files: of ``slopes`` by their stem."""
    for stem, text in files.items():
        (folder / "slopes" / f"{stem}.py").write_text(text)
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", name)
    git(folder, "tag", name)


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with a gate, a commit that does not build, and two heads after base; one is checked out."""
    folder = tmp_path_factory.mktemp("foreign") / "slopes"
    (folder / "slopes").mkdir(parents=True)
    git(folder, "init", "--quiet", "--initial-branch", "main")
    (folder / "pyproject.toml").write_text("[build-system]\nrequires = 3\n")
    commit(folder, "unbuildable", __init__="", layer=LAYER)
    (folder / "pyproject.toml").write_text(PYPROJECT)
    assert 0 == run(["gate", "init", "--folder", str(folder), "--layer", "slopes.layer:Slope"])
    cases = (folder / "ci" / "gate_cases.toml").read_text()
    filled = cases.replace("{}", "{ features = 64 }").replace("256", "64").replace("[1, 64]", "16")
    (folder / "ci" / "gate_cases.toml").write_text(SAMPLING + filled[filled.index("\n[[layers]]") :])
    (folder / "ci" / "gate.toml").write_text(POLICY)
    # The environments have a setuptools of their own, so that no build waits for an index.
    config = folder / "asv.conf.json"
    config.write_text(config.read_text().replace("pip wheel", "pip wheel --no-build-isolation"))
    commit(folder, "base", **dict.fromkeys([*BROKEN, "removed"], SOUND))
    commit(folder, "innocent", layer=LAYER.replace("return x", "# The product.\n        return x"))
    commit(folder, "waits", layer=WAITS)
    git(folder, "checkout", "--quiet", "innocent")
    return folder


@pytest.fixture
def inside(foreign: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The repository as the current folder."""
    monkeypatch.chdir(foreign)
    return foreign


def test_an_innocent_commit_passes(inside: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == run(["gate", "base", "innocent", "--strict"])

    told = capsys.readouterr().out.splitlines()
    assert any(line.startswith(f"unchanged  {CASE} ") for line in told)
    assert "Passed: nothing is slower than its budget. 1 unchanged." == told[-1]


def test_by_the_script_a_commit_that_waits_regressed_though_it_counts_the_same(inside: Path, tmp_path: Path) -> None:
    command = tmp_path / "bin" / "capratio"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m capratio.cli.main "$@"\n')
    command.chmod(0o755)
    environment = os.environ | {
        "PATH": f"{command.parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(HOME),
        "GATE_BASE": "base",
        "GATE_HEAD": "waits",
        "GATE_OUT": str(tmp_path / "out"),
    }

    done = subprocess.run(["ci/gate.sh"], env=environment, capture_output=True, text=True, check=False)

    assert 1 == done.returncode, done.stderr
    told = done.stdout.splitlines()
    assert any(line.startswith(f"regressed  {CASE} ") for line in told)
    assert "Regressed. 1 regressed." == told[-1]
    assert {"gate.md", "gate.html", "gate.json", "gate.xml", "gate.log"} == {
        p.name for p in (tmp_path / "out").iterdir()
    }
    assert "building head" in (tmp_path / "out" / "gate.log").read_text()


def test_what_became_of_layers_in_the_working_tree_is_named_and_what_others_count_is_compared(
    inside: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    layers = [*BROKEN, "removed", "added"]
    tables = [f'[[layers]]\nlayer = "slopes.{layer}:Layer"\nin_features = 64\n' for layer in layers]
    (tmp_path / "gate.toml").write_text(POLICY)
    (tmp_path / "gate_cases.toml").write_text((inside / "ci" / "gate_cases.toml").read_text() + "".join(tables))
    for stem, text in (BROKEN | {"added": SOUND, "layer": TWICE}).items():
        (inside / "slopes" / f"{stem}.py").write_text(text)
    (inside / "slopes" / "removed.py").unlink()

    try:
        code = run(["gate", "innocent", "--exact", "--policy", str(tmp_path / "gate.toml")])
    finally:
        git(inside, "checkout", "--quiet", "--", ".")
        (inside / "slopes" / "added.py").unlink()

    assert 1 == code
    told = capsys.readouterr().out
    where = "Layer/p64/n1/float32/cpu/forward"
    assert f"slopes.crashes:{where} failed at head: crashed: the process ended with exit code 7." in told
    assert f"slopes.misspelt:{where} failed at head: slopes.misspelt cannot be imported (SyntaxError" in told
    assert f"slopes.removed:{where} failed at head: slopes.removed cannot be imported (ModuleNotFoundError" in told
    assert f"1 case only at head: slopes.added:{where}." in told
    assert f"flop of {CASE} rose from 131,072 to " in told
    assert "5 exact integers compared." in told
    assert "Regressed. 3 exact rises." == told.splitlines()[-1]


def test_a_base_that_does_not_build_is_5_and_names_its_log(inside: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert 5 == run(["gate", "unbuildable", "base", "--exact"])

    told = capsys.readouterr().err.splitlines()[-1]
    assert told.startswith("capratio: base (unbuildable, ")
    assert told.endswith(f"See {inside / '.asv' / 'gate' / 'build-base.log'}.")


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (["nowhere"], "'nowhere' is no commit of this repository; give a branch, a tag or a commit id."),
        (["base", "--only", "*/n17/*"], "no case matches the pattern '*/n17/*'"),
        (["base", "--policy", "ci/none.toml"], "the policy ci/none.toml cannot be read"),
    ],
)
def test_what_is_not_there_is_2_before_anything_is_built(
    inside: Path, arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert 2 == run(["gate", *arguments])

    told = capsys.readouterr().err
    assert sentence in told
    assert "building" not in told


def test_an_unknown_key_of_the_policy_is_2_with_the_one_that_was_meant(
    inside: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "gate.toml").write_text(POLICY.replace("alpha", "alfa"))

    assert 2 == run(["gate", "base", "--policy", str(tmp_path / "gate.toml")])

    assert "the key 'alfa' is not known; did you mean 'alpha'?" in capsys.readouterr().err


def test_a_shallow_clone_is_2_with_its_advice(
    inside: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    git(tmp_path, "clone", "--quiet", "--depth", "1", "--branch", "innocent", inside.as_uri(), "shallow")
    monkeypatch.chdir(tmp_path / "shallow")

    assert 2 == run(["gate", "HEAD~1"])

    assert "the clone is shallow: fetch its history" in capsys.readouterr().err


def test_the_working_tree_counts_a_file_that_is_not_tracked_and_leaves_the_index_alone(inside: Path) -> None:
    extra = inside / "slopes" / "extra.py"
    extra.write_text("")
    try:
        taken = working_tree(inside)
    finally:
        extra.unlink()

    assert "slopes/extra.py" in git(inside, "ls-tree", "-r", "--name-only", taken.commit).splitlines()
    assert "" == git(inside, "status", "--porcelain")
