"""One whole run of a gate that others made, between a commit and a child of it: alike, or slower by a known share."""

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from asv.commands.compare import unroll_result
from asv.results import Results

from benchmarks.gate_peers_read import SLOWER, asv_comparisons, measuring_s, pytest_comparisons

ROOT = Path(__file__).parent.parent
PYTEST_BAR = "mean:5%"
# What a slower commit appends, so that a call spins for a share of its own time, inside what the tool times.
SPIN = """

import dataclasses as _dataclasses
import time as _time


def _slowed(call):
    def slowed(*arguments, **named):
        begin = _time.perf_counter()
        answer = call(*arguments, **named)
        end = begin + (1 + {share}) * (_time.perf_counter() - begin)
        while _time.perf_counter() < end:
            pass
        return answer

    return slowed
"""
BUILD = """

_built = build


def build(*arguments, **named):
    layer = _built(*arguments, **named)
    layer.forward = _slowed(layer.forward)
    return layer
"""
TRIAL = """

_prepared = prepare_trial


def prepare_trial(*arguments, **named):
    trial = _prepared(*arguments, **named)
    return _dataclasses.replace(trial, call=_slowed(trial.call))
"""
# Tool → the file of the package through which its suite comes to what it times, and what slows that down.
PATCHES = {"asv": ("capratio/layers/table.py", BUILD), "pytest": ("capratio/sweep/prepare.py", TRIAL)}
AUTHOR = ["-c", "user.name=gate peers", "-c", "user.email=peers@example.invalid"]
PLAIN = ["-c", "core.hooksPath=/dev/null", "-c", "commit.gpgsign=false", "-c", "advice.detachedHead=false"]


def git(folder: Path, *arguments: str, **variables: str) -> str:
    """What git answers in a folder."""
    command = ["git", "-C", str(folder), *AUTHOR, *PLAIN, *arguments]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=os.environ | variables)
    return done.stdout.strip()


def make_clone(folder: Path, commit: str) -> None:
    """A clone of this repository at a commit; one that is there is used again, with the environment in it.

    Raises ValueError where the folder is this checkout, or holds changes.
    """
    if folder.resolve() == ROOT.resolve():
        raise ValueError("the clone must not be this checkout.")
    if not (folder / ".git").exists():
        git(ROOT, "clone", "--quiet", str(ROOT), str(folder.resolve()))
    if git(folder, "status", "--porcelain", "--untracked-files=no"):
        raise ValueError(f"{folder} holds changes; give another folder for the clone.")
    git(folder, "fetch", "--quiet", str(ROOT), "HEAD")
    git(folder, "checkout", "--quiet", "--detach", commit)


def make_head(clone: Path, base: str, tool: str, share: float) -> str:
    """A child of base whose timed calls take a share longer, or an empty one; the same each time, by its date."""
    git(clone, "checkout", "--quiet", "--detach", base)
    if share:
        name, wrapper = PATCHES[tool]
        with (clone / name).open("a") as file:
            file.write(SPIN.format(share=share) + wrapper)
    date = git(clone, "show", "--no-patch", "--format=%cI", base)
    message = f"Slow {tool} down by {share:.0%}" if share else "Change nothing"
    dates = {"GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date}
    git(clone, "commit", "--quiet", "--all", "--allow-empty", "--message", message, **dates)
    head = git(clone, "rev-parse", "HEAD")
    git(clone, "checkout", "--quiet", "--detach", base)
    return head


def describe_to_asv(clone: Path) -> None:
    """Let asv know this machine, as ``make asv`` does, lest it asks."""
    command = [sys.executable, "benchmarks/asv_machine.py"]
    subprocess.run(command, check=True, cwd=clone, env=os.environ | {"PYTHONPATH": str(clone.resolve())})


def run_asv(clone: Path, base: str, head: str, bench: str) -> dict[str, Any]:
    """One ``asv continuous`` at its defaults; every row is shown, which changes no decision.

    Raises RuntimeError where it compared nothing.
    """
    # A checkout on the path could be imported in place of the commit.
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    env |= {"PIP_CONSTRAINT": str(clone.resolve() / "constraints.txt"), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "asv", "continuous", "--no-only-changed", "--bench", bench, base, head]
    stamped = []
    start_s = time.perf_counter()
    with subprocess.Popen(
        command, cwd=clone, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding="utf-8"
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            stamped.append((time.perf_counter() - start_s, line))
    end_s = time.perf_counter() - start_s
    output = "".join(line for _, line in stamped)
    compared = asv_comparisons(output)
    if not compared:
        raise RuntimeError(f"asv compared nothing:\n{output[-2000:]}")
    names = {comparison.name for comparison in compared}
    return {
        "exit_code": process.returncode,
        "seconds": end_s,
        "measuring_s": measuring_s(stamped, end_s),
        "compared": [asdict(comparison) for comparison in compared],
        "base_samples_s": asv_samples(clone, base, names),
        "head_samples_s": asv_samples(clone, head, names),
    }


def asv_samples(clone: Path, commit: str, names: set[str]) -> dict[str, list[float]]:
    """The samples that asv kept of a commit, by the names in its table."""
    found_of = (clone / ".asv" / "results").glob(f"*/{commit[:8]}-*.json")
    path = max(found_of, key=lambda path: path.stat().st_mtime)
    results = Results.load(str(path), path.parent.name)
    found = {}
    for key in results.get_all_result_keys():
        params = results.get_result_params(key)
        for name, samples in unroll_result(key, params, results.get_result_samples(key, params)):
            if name in names:
                found[name] = samples
    return found


def run_pytest(clone: Path, base: str, head: str, keyword: str) -> dict[str, Any]:
    """pytest-benchmark of base, kept, and then of head, compared with it."""
    with tempfile.TemporaryDirectory() as storage:
        start_s = time.perf_counter()
        before = _pytest(clone, base, keyword, storage, "base")
        compare = ["--benchmark-compare=0001", f"--benchmark-compare-fail={PYTEST_BAR}"]
        done = _pytest(clone, head, keyword, storage, "head", *compare)
        seconds = time.perf_counter() - start_s
        base_s, head_s = _means(storage, "base"), _means(storage, "head")
    git(clone, "checkout", "--quiet", "--detach", base)
    compared = pytest_comparisons(done.stdout, base_s, head_s)
    # Exit 1 is also that of a test which failed before anything was compared.
    if before.returncode or bool(done.returncode) != any(comparison.called == SLOWER for comparison in compared):
        raise RuntimeError(f"pytest failed for another reason:\n{before.stdout[-2000:]}\n{done.stdout[-2000:]}")
    return {
        "exit_code": done.returncode,
        "seconds": seconds,
        "compared": [asdict(comparison) for comparison in compared],
        "base_means_s": base_s,
        "head_means_s": head_s,
    }


def _pytest(
    clone: Path, commit: str, keyword: str, storage: str, name: str, *options: str
) -> subprocess.CompletedProcess[str]:
    git(clone, "checkout", "--quiet", "--detach", commit)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "benchmarks/pytest_suite", "--benchmark-only"]
    command += [f"--benchmark-storage=file://{storage}", f"--benchmark-save={name}", "-k", keyword, *options]
    env = os.environ | {"PYTHONPATH": str(clone.resolve())}
    # What failed is told on the standard error.
    return subprocess.run(command, cwd=clone, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def _means(storage: str, name: str) -> dict[str, float]:
    """The mean of each benchmark of a side.

    Raises RuntimeError where the side measured nothing.
    """
    paths = list(Path(storage).glob(f"*/*_{name}.json"))
    if len(paths) != 1:
        raise RuntimeError(f"pytest-benchmark kept nothing of {name}.")
    return {found["name"]: found["stats"]["mean"] for found in json.loads(paths[0].read_text())["benchmarks"]}
