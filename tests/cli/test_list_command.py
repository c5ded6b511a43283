"""``capratio list`` says what each name is and what it may have."""

import pytest

from capratio.cli.main import run
from capratio.cost.systems.contract import defaults
from capratio.cost.systems.table import SYSTEMS
from capratio.sweep.case_file import bundled_case_files, read_suites


def rows(capsys: pytest.CaptureFixture[str], kind: str) -> dict[str, str]:
    """Name → the rest of its line."""
    assert 0 == run(["list", kind])
    lines = [line.partition(" ") for line in capsys.readouterr().out.splitlines()[3:]]
    return {name: rest.strip() for name, _, rest in lines}


def layers(capsys: pytest.CaptureFixture[str]) -> dict[str, list[str]]:
    """Name → the lines beside it and below it."""
    assert 0 == run(["list", "layers"])
    found: dict[str, list[str]] = {}
    for line in capsys.readouterr().out.splitlines()[1:]:
        if not line.startswith(" "):
            name, _, line = line.partition(" ")
            found[name] = []
        found[name].append(line.strip())
    return found


def test_a_layer_is_listed_with_what_it_is_and_its_options(capsys: pytest.CaptureFixture[str]) -> None:
    found = layers(capsys)

    trees = ["dense", "tree-shared", "tree-unit", "tree-bias", "fast-feedforward"]
    others = ["act", "altup", "block-policy", "dynamic-gate", "memory-table", "moe-sparse", "moe-st", "product-key"]
    assert [*trees, *others, "winner-take-all"] == list(found)
    assert found["moe-sparse"][0].startswith("A sparsely-gated mixture ")
    assert "experts=16 top_k=2 hidden=1024 gating=noisy groups=1" == found["moe-sparse"][-1]
    assert found["tree-shared"][0].startswith("The tree-gated matrix y = ")
    assert found["tree-shared"][-2].endswith("Also: tree.")
    assert "form=path|collapsed gate=signs|hyperplanes" == found["tree-shared"][-1]
    assert "form=leaf|path gate=descent hidden=32" == found["fast-feedforward"][-1]
    assert ["The dense layer y = W x, against which every capacity ratio is taken."] == found["dense"]


@pytest.mark.parametrize("layer", SYSTEMS)
def test_every_option_of_a_system_is_listed_and_its_default_is_taken_back(
    layer: str, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = layers(capsys)[layer]

    listed = dict(word.split("=") for line in lines for word in line.split() if "=" in word)
    assert list(defaults(SYSTEMS[layer])) == list(listed)
    assert {} == SYSTEMS[layer].from_options(256, 256, listed).options


def test_layers_fit_a_terminal_of_a_hundred_columns(capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == run(["list", "layers"])

    assert max(map(len, capsys.readouterr().out.splitlines())) <= 100


def test_a_case_file_is_listed_with_its_title(capsys: pytest.CaptureFixture[str]) -> None:
    cases = rows(capsys, "cases")

    for name, path in bundled_case_files().items():
        (suite,) = read_suites([path])
        assert suite.title in cases[name]
        assert cases[name].endswith(str(path))
