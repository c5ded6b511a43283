"""Help of every command has an example and imports nothing heavy."""

import subprocess
import sys

import pytest

from capratio.cli.main import COMMANDS, run

HEAVY = ("torch", "numpy", "pandas", "scipy", "seaborn", "matplotlib", "rich", "pyarrow")

# Runs a command line in a process of its own and prints the heavy modules that it has imported.
PROBE = f"""
import sys
from capratio.cli.main import run
code = run(sys.argv[1:])
print("imported:", *[name for name in {HEAVY!r} if name in sys.modules])
sys.exit(code)
"""


def probe(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The command line in a fresh interpreter."""
    return subprocess.run([sys.executable, "-c", PROBE, *arguments], capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(
    "arguments", [("--help",), ("--version",), *((name, "--help") for name in COMMANDS)], ids=" ".join
)
def test_help_imports_neither_torch_nor_numpy_nor_pandas(arguments: tuple[str, ...]) -> None:
    done = probe(*arguments)

    assert (0, "") == (done.returncode, done.stderr)
    assert "imported:" == done.stdout.splitlines()[-1]


def test_cost_imports_neither_torch_nor_numpy_nor_pandas() -> None:
    done = probe("cost", "tree", "--in-features", "8", "--out-features", "8", "--depth", "0:3")

    assert (0, "") == (done.returncode, done.stderr)
    assert "imported:" == done.stdout.splitlines()[-1]


def test_a_list_of_layers_and_cases_imports_no_torch() -> None:
    done = probe("list", "layers", "cases")

    assert (0, "") == (done.returncode, done.stderr)
    assert "imported:" == done.stdout.splitlines()[-1]


def test_the_probe_sees_a_heavy_import() -> None:
    code = f"import numpy\n{PROBE}"

    done = subprocess.run([sys.executable, "-c", code, "--version"], capture_output=True, text=True, timeout=60)

    assert "imported: numpy" == done.stdout.splitlines()[-1]


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_every_command_has_an_example_that_names_it(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == run([name, "--help"])

    shown = capsys.readouterr().out
    assert "Example:" in shown
    assert f"capratio {name}" in shown.partition("Example:")[2]


def test_help_of_the_group_lists_every_command_and_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == run(["--help"])

    shown = capsys.readouterr().out
    assert [] == [name for name in COMMANDS if f"\n  {name} " not in shown]
    assert "Exit codes:" in shown
