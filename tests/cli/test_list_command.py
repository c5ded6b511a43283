"""``capratio list`` says what each name is and what it may have."""

import pytest

from capratio.cli.list import KINDS
from capratio.cli.main import run
from capratio.cost.systems.contract import defaults
from capratio.cost.systems.table import SYSTEMS
from capratio.scaling.claims import CLAIMS
from capratio.sweep.case_file import bundled_case_files, read_case_files, read_suites


def entries(kind: str, capsys: pytest.CaptureFixture[str]) -> dict[str, list[str]]:
    """Name → the lines beside it and below it."""
    assert 0 == run(["list", kind])
    found: dict[str, list[str]] = {}
    for line in capsys.readouterr().out.splitlines()[1:]:
        if not line.startswith(" "):
            name, _, line = line.partition(" ")
            found[name] = []
        found[name].append(line.strip())
    return found


def test_a_layer_is_listed_with_what_it_is_and_its_options(capsys: pytest.CaptureFixture[str]) -> None:
    found = entries("layers", capsys)

    trees = ["dense", "tree-shared", "tree-unit", "tree-bias", "fast-feedforward"]
    others = ["act", "altup", "block-policy", "dynamic-gate", "memory-table", "moe-sparse", "moe-st", "product-key"]
    assert [*trees, *others, "winner-take-all"] == list(found)
    assert found["moe-sparse"][0].startswith("A sparsely-gated mixture ")
    assert "experts=16 top_k=2 hidden=1024 gating=noisy|hierarchical|balanced groups=1" == found["moe-sparse"][-1]
    assert found["tree-shared"][0].startswith("The tree-gated matrix y = ")
    assert found["tree-shared"][-2].endswith("Also: tree.")
    assert "depth=0 form=path|collapsed gate=signs|hyperplanes bias=true" == found["tree-shared"][-1]
    assert "depth=0 form=leaf|path gate=descent bias=true hidden=32" == found["fast-feedforward"][-1]
    assert ["The dense layer y = W x, against which every capacity ratio is taken.", "bias=true"] == found["dense"]


@pytest.mark.parametrize("layer", SYSTEMS)
def test_every_option_of_a_system_is_listed_and_its_default_is_taken_back(
    layer: str, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = entries("layers", capsys)[layer]

    listed = dict(word.split("=") for line in lines for word in line.split() if "=" in word)
    assert list(defaults(SYSTEMS[layer])) == list(listed)
    # Of several words the first is the default, and a text has others exactly where its layer knows them.
    words = {name: text.split("|") for name, text in listed.items()}
    assert {} == SYSTEMS[layer].from_options(256, 256, {name: known[0] for name, known in words.items()}).options
    texts = {name: set(known) for name, known in words.items() if isinstance(defaults(SYSTEMS[layer])[name], str)}
    assert {name: set(known) for name, known in SYSTEMS[layer].words.items()} == texts


@pytest.mark.parametrize("kind", KINDS)
def test_a_list_fits_a_terminal_of_a_hundred_columns(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == run(["list", kind])

    folder = str(next(iter(bundled_case_files().values())).parent)
    assert max(len(line) for line in capsys.readouterr().out.splitlines() if line != folder) <= 100


def test_a_case_file_is_listed_with_its_title_its_cases_and_its_folder(capsys: pytest.CaptureFixture[str]) -> None:
    found = entries("cases", capsys)

    for name, path in bundled_case_files().items():
        (suite,) = read_suites([path])
        assert f"{len(read_case_files([path]))}  {suite.title}" == " ".join(found[name])
        assert str(path.parent) in found
    assert bundled_case_files().keys() == set(list(found)[:-2])


def test_a_claim_is_listed_with_its_law(capsys: pytest.CaptureFixture[str]) -> None:
    found = entries("claims", capsys)

    assert list(CLAIMS) == list(found)
    dense = "Every layer pays the dense product, 2·p·q FLOP a token, whatever its depth; training pays it three times."
    assert dense == " ".join(found["dense-flop"])
