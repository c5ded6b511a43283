"""The page about case files says what is so."""

from pathlib import Path

import pytest

from capratio.cost.layer_names import LAYER_IDS
from capratio.sweep import expected
from capratio.sweep.case import Sampling
from capratio.sweep.case_file import FILE_KEYS, read_case_files, read_claims
from capratio.sweep.case_group import DEFAULTS, GROUP_KEYS, SWEPT_WORDS

PAGE = (Path(__file__).parents[2] / "docs" / "case_files.md").read_text(encoding="utf-8")
EXAMPLE = PAGE.partition("```toml\n")[2].partition("```")[0]
ROWS = {line.split("|")[1]: line for line in PAGE.splitlines() if line.startswith("| `")}


def row(key: str) -> str:
    """The line of the table that is about a key."""
    return next(line for keys, line in ROWS.items() if f"`{key}`" in keys)


def test_its_example_is_a_case_file_that_samples_by_the_defaults(tmp_path: Path) -> None:
    path = tmp_path / "example.toml"
    path.write_text(EXAMPLE, encoding="utf-8")

    cases = read_case_files([path])

    assert 13 * 2 == len(cases)
    assert {Sampling()} == {case.sampling for case in cases}
    assert ["path-latency-over-depth"] == [claim for _, claim in read_claims([path])]
    assert [] == [key for key in FILE_KEYS if key not in EXAMPLE]


def test_its_table_has_every_key_with_its_words_and_its_default() -> None:
    assert [] == [key for key in GROUP_KEYS if not row(key)]
    assert [] == [(key, word) for key, words in SWEPT_WORDS.items() for word in words if f"`{word}`" not in row(key)]


@pytest.mark.parametrize("key", [key for key in DEFAULTS if key not in ("claims", "analysis")])
def test_its_defaults_are_those_of_the_reader(key: str) -> None:
    shown = row(key).split("|")[-2].strip().strip("`")

    assert str(DEFAULTS[key]).lower() == shown.lower()


def test_it_names_all_that_an_answer_selects_by_and_holds() -> None:
    said = PAGE.rpartition("`[[cases.expected]]`")[2]

    assert [] == [key for key in (*expected.SELECTORS, *expected.QUANTITIES) if f"`{key}`" not in said]


def test_it_names_every_layer() -> None:
    assert [] == [layer for layer in LAYER_IDS if f"`{layer}`" not in row("layer")]
