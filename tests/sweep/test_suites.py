"""What a case file says to people reaches them: its title, its analysis and that of its groups."""

from pathlib import Path

import pytest

from capratio.errors import InputError
from capratio.sweep.case_file import Suite, bundled_case_files, read_case_files, read_claims, read_suites

TEXTS = '''
name = "mine"
title = "What this shows"
analysis = """
One line
and another.
"""
[defaults]
layer = "tree"
in_features = 3
[[cases]]
group = "line"
analysis = "The line."
[[cases]]
group = "plain"
tokens = 2
claims = ["parameters", "executed-flop"]
[[cases]]
group = "line"
tokens = 4
claims = "parametres"
analysis = "Its end."
'''


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "file.toml"
    path.write_text(text)
    return path


def test_a_suite_has_the_texts_of_its_file_and_of_the_groups_that_have_one(tmp_path: Path) -> None:
    path = write(tmp_path, TEXTS)

    assert [Suite("mine", "What this shows", "One line and another.", {"line": "The line. Its end."})] == read_suites(
        [path]
    )


def test_a_file_without_texts_is_a_suite_of_its_own_name(tmp_path: Path) -> None:
    path = write(tmp_path, '[[cases]]\nlayer = "dense"\nin_features = 3')

    assert [Suite("file", "", "", {})] == read_suites([path])


@pytest.mark.parametrize("name", ["quick", "tree", "routing", "threads", "kernels", "peers"])
def test_bundled_case_files_have_a_title_and_an_analysis(name: str) -> None:
    (suite,) = read_suites([bundled_case_files()[name]])

    assert name == suite.name
    assert suite.title
    assert suite.analysis


@pytest.mark.parametrize(
    ("right", "wrong", "place"),
    [
        ('title = "What this shows"', "title = 3", "file.toml: title is 3; give a text in quotes."),
        ('name = "mine"', "name = true", "file.toml: name is True; give a text in quotes."),
        (
            'analysis = "The line."',
            'analysis = ["a"]',
            "file.toml: cases[1]: analysis is ['a']; give a text in quotes.",
        ),
        ('group = "plain"', "group = 2", "file.toml: cases[2]: group is 2; give a text in quotes."),
    ],
)
def test_what_is_no_text_is_refused_by_whoever_reads_the_file(
    tmp_path: Path, right: str, wrong: str, place: str
) -> None:
    path = write(tmp_path, TEXTS.replace(right, wrong))

    for read in (read_suites, read_case_files):
        with pytest.raises(InputError) as caught:
            read([path])
        assert str(caught.value).endswith(place)


def test_each_claim_is_read_with_its_place(tmp_path: Path) -> None:
    path = write(tmp_path, TEXTS)

    assert [
        (f"{path}: cases[2]", "executed-flop"),
        (f"{path}: cases[2]", "parameters"),
        (f"{path}: cases[3]", "parametres"),
    ] == read_claims([path])
