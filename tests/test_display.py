"""Text tables line up and never break on what a cell holds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capratio.display import markdown_table, markdown_text, text_table


def test_numbers_stand_right_and_named_columns_left() -> None:
    table = text_table(["name", "count"], [["a", 1234567], ["long name", 2]], left=["name"])

    assert [
        "name           count",
        "---------  ---------",
        "a          1,234,567",
        "long name          2",
    ] == table.splitlines()


@pytest.mark.parametrize(
    "value, shown",
    [(None, "-"), (True, "yes"), (12345, "12,345"), (0.12345, "0.1235"), (12345.6, "12,346"), ("a\nb", "a b")],
)
def test_a_cell_shows_a_value_on_one_line(value: object, shown: str) -> None:
    assert shown == text_table(["x"], [[value]]).splitlines()[-1].strip()


@pytest.mark.parametrize("character", ["\x1b", "\x07", "\u202e"])
def test_a_control_character_never_reaches_the_terminal_or_a_comment(character: str) -> None:
    assert "a\N{REPLACEMENT CHARACTER}b" == text_table(["x"], [[f"a{character}b"]]).splitlines()[-1]
    assert "a\N{REPLACEMENT CHARACTER}b" == markdown_text(f"a{character}b")


def test_markdown_finds_no_markup_in_a_name_and_keeps_its_spaces() -> None:
    assert "2.45\N{NO-BREAK SPACE}\\[a\\|b\\] &lt;i&gt;" == markdown_text("2.45\N{NO-BREAK SPACE}[a|b] <i>")
    assert ["| a | b |", "| --- | --- |", "| \\* | c d |"] == markdown_table(["a", "b"], [["*", "c\nd"]]).splitlines()


def test_wide_and_combining_characters_take_the_columns_that_a_terminal_gives_them() -> None:
    table = text_table(["x", "y"], [["漢", 1], ["e\u0301", 2]], left=["x"])

    assert ["漢  1", "e\u0301   2"] == table.splitlines()[2:]


def test_a_row_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="a row of 1 values was given to a table of 2 columns"):
        text_table(["a", "b"], [["only"]])


@given(st.lists(st.tuples(st.integers(), st.text(alphabet="abc d", max_size=9)), min_size=1, max_size=8))
def test_every_row_has_one_line(rows: list[tuple[int, str]]) -> None:
    table = text_table(["number", "text"], rows)

    assert 2 + len(rows) == len(table.splitlines())
