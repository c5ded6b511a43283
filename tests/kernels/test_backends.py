"""Which implementation runs: the one that is named, and of ``auto`` the device's own; nothing else in silence."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from capratio.errors import InputError
from capratio.kernels import backends
from capratio.kernels.backends import BACKENDS, NAMES, REFERENCE, implementation, resolve_backend
from capratio.kernels.cpu import compiling
from capratio.kernels.crossovers import AUTO_CHOICES
from capratio.kernels.leaf_linear import leaf_linear

CPU = torch.device("cpu")


def test_every_operation_has_a_reference_and_a_folder() -> None:
    folders = {path.parent.name for path in Path(backends.__file__).parent.glob("*/operation.py")}

    assert folders == BACKENDS.keys()
    assert all(REFERENCE in names and set(names) < set(NAMES) for names in BACKENDS.values())


@pytest.mark.parametrize("folder", BACKENDS)
def test_auto_takes_what_was_measured_to_be_faster_and_the_reference_where_there_is_but_that(folder: str) -> None:
    chosen = resolve_backend(folder, "auto", CPU)

    assert chosen in BACKENDS[folder]
    assert AUTO_CHOICES["cpu"].get(folder, REFERENCE) == chosen
    assert REFERENCE == resolve_backend(folder, REFERENCE, CPU)


def test_auto_has_a_choice_for_every_operation_that_has_one() -> None:
    choices = {folder for folder, names in BACKENDS.items() if "cpu" in names}

    assert choices == AUTO_CHOICES["cpu"].keys()


def test_an_unknown_backend_is_refused() -> None:
    with pytest.raises(InputError, match="backend='fast' is not known; it must be one of auto, reference, cpu"):
        resolve_backend("leaf_linear", "fast", CPU)


def test_kernels_of_the_cpu_are_refused_elsewhere() -> None:
    with pytest.raises(InputError, match="backend='cpu' was given for tensors on cuda; use 'auto', 'reference'"):
        implementation("leaf_linear", "leaf_linear", "cpu", "cuda")


# Of all operations sign_leaf, whose kernels take the least time to compile.
SCRIPT = """
import sys, torch
from capratio.errors import InputError
from capratio.kernels.sign_leaf import sign_leaf
x, chosen = torch.tensor([[1.0, -1.0], [1.0, 1.0]]), torch.tensor([[0, 1]])
for backend in sys.argv[1:]:
    try:
        print(sign_leaf(x, chosen, backend).flatten().tolist())
    except InputError as error:
        print(error)
"""


def run(cache: Path, *backends_: str) -> subprocess.CompletedProcess[str]:
    """The leaves 10 and 11, or why there are none, by each backend in turn in a process of its own."""
    environment = os.environ | {"NUMBA_CACHE_DIR": str(cache), "PYTHONPATH": str(Path(backends.__file__).parents[2])}
    command = [sys.executable, "-c", SCRIPT, *backends_]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=200, check=True)


def test_a_cache_that_cannot_be_written_says_what_to_do_and_the_reference_runs(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("no folder")

    refused, reference = run(blocked, "cpu", "reference").stdout.splitlines()

    assert "the cpu kernels of sign_leaf cannot be loaded" in refused
    assert "NUMBA_CACHE_DIR" in refused
    assert "name backend='reference'" in refused
    assert "[2, 3]" == reference


def test_a_broken_cache_says_what_to_do(tmp_path: Path) -> None:
    first = run(tmp_path, "cpu")
    again = run(tmp_path, "cpu")
    for path in tmp_path.rglob("*.nb*"):
        path.write_bytes(b"broken")

    broken, reference = run(tmp_path, "cpu", "reference").stdout.splitlines()

    assert ("[2, 3]\n", "[2, 3]\n") == (first.stdout, again.stdout)
    # The note is said where something is compiled, and not where it was kept.
    assert "compiling CPU kernels" in first.stderr
    seconds = re.search(r"CPU kernels were compiled in ([0-9.]+) s, and are kept", first.stderr)
    assert seconds is not None
    assert float(seconds[1]) > 0
    assert "" == again.stderr
    assert "the compiled kernels of sign_leaf that were kept cannot be read" in broken
    assert "delete their folder, which is NUMBA_CACHE_DIR" in broken
    assert "[2, 3]" == reference


def test_a_cache_folder_belongs_to_the_sources(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    source = tmp_path / "kernels" / "cpu" / "compiling.py"
    source.parent.mkdir(parents=True)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(compiling.config, "CACHE_DIR", "")
    monkeypatch.setattr(compiling, "__file__", str(source))

    folders = []
    for text in ("a = 1", "a = 2", "a = 1"):
        source.write_text(text)
        folders.append(compiling.cache_folder())

    assert all(folder.is_relative_to(tmp_path / "capratio" / "kernels") for folder in folders)
    assert folders[0] == folders[2] != folders[1]


# A layer that is not there, and one that the user chose: 600 tokens in what would be a parallel loop.
WITHOUT_OPENMP = """
import os, sys
if "NUMBA_THREADING_LAYER" not in os.environ:
    sys.modules["numba.np.ufunc.omppool"] = None
import torch
torch.set_num_threads(2)
from capratio.kernels.sign_leaf import sign_leaf
from capratio.kernels.cpu import compiling
from capratio.threading_layer import missing_layer
out = sign_leaf(torch.ones(600, 4), torch.tensor([[0, 3]]), "cpu")
print(out.sum().item(), compiling.PARALLEL, compiling.cache_folder().name, torch.get_num_threads())
print(missing_layer())
"""


@pytest.mark.parametrize(
    "environment, reason",
    [({}, "omppool"), ({"NUMBA_THREADING_LAYER": "workqueue"}, "NUMBA_THREADING_LAYER=workqueue names another layer")],
)
def test_without_openmp_kernels_run_on_one_thread_and_the_reason_is_known(
    environment: dict[str, str], reason: str, tmp_path: Path
) -> None:
    run = subprocess.run(
        [sys.executable, "-c", WITHOUT_OPENMP],
        env=os.environ
        | {"NUMBA_CACHE_DIR": str(tmp_path), "PYTHONPATH": str(Path(backends.__file__).parents[2])}
        | environment,
        capture_output=True,
        text=True,
        timeout=200,
        check=True,
    )

    answer, told = run.stdout.splitlines()
    assert "1800 False one-thread 2" == answer
    assert reason in told


def test_a_layer_says_its_backend() -> None:
    out = leaf_linear(torch.ones(1, 2), torch.ones(1, 1, 2), torch.zeros(1, dtype=torch.int64), "cpu")

    assert [[2.0]] == out.tolist()


# A large sum first, so that torch has settled its threads before numba starts those of its own.
COUNT_THREADS = """
import torch
torch.set_num_threads(1)
torch.ones(2**20).add_(1)
from capratio.kernels.sign_leaf import sign_leaf
sign_leaf(torch.ones(2, 4), torch.tensor([[0, 3]]), "cpu")
import numba
print(torch.get_num_threads(), numba.get_num_threads())
"""


def test_the_first_compiled_kernel_leaves_torch_its_number_of_threads_and_takes_it_too() -> None:
    run = subprocess.run([sys.executable, "-c", COUNT_THREADS], capture_output=True, text=True, timeout=200, check=True)
    assert run.stdout.split() == ["1", "1"]
