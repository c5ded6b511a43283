"""``capratio list`` says what each name is and what it may have."""

import pytest

from capratio.cli.main import run
from capratio.sweep.case_file import bundled_case_files, read_suites


def rows(capsys: pytest.CaptureFixture[str], kind: str) -> dict[str, str]:
    """Name → the rest of its line."""
    assert 0 == run(["list", kind])
    lines = [line.partition(" ") for line in capsys.readouterr().out.splitlines()[3:]]
    return {name: rest.strip() for name, _, rest in lines}


def test_a_layer_is_listed_with_its_forms_and_gates_and_what_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    layers = rows(capsys, "layers")

    trees = ["dense", "tree-shared", "tree-unit", "tree-bias", "fast-feedforward"]
    others = ["act", "altup", "block-policy", "dynamic-gate", "memory-table", "moe-sparse", "moe-st", "product-key"]
    assert [*trees, *others, "winner-take-all"] == list(layers)
    assert layers["moe-sparse"].startswith("-     -                -                   A sparsely-gated mixture ")
    assert layers["tree-shared"].startswith("tree  path, collapsed  signs, hyperplanes  The tree-gated matrix y = ")
    assert layers["tree-unit"].startswith("-     path, collapsed  signs, thresholds   The unit tree y = ")


def test_the_dense_layer_is_said_to_be_what_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    said = rows(capsys, "layers")["dense"]

    assert ["-", "-", "-", "The", "dense", "layer", "y", "=", "W", "x,"] == said.split()[:10]
    assert "every other layer" not in said


def test_a_case_file_is_listed_with_its_title(capsys: pytest.CaptureFixture[str]) -> None:
    cases = rows(capsys, "cases")

    for name, path in bundled_case_files().items():
        (suite,) = read_suites([path])
        assert suite.title in cases[name]
        assert cases[name].endswith(str(path))
