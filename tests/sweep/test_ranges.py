"""Values of swept keys."""

import pytest

from capratio.errors import InputError
from capratio.sweep.ranges import booleans, integers, strings, text


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (3, (3,)),
        ([1, 5], (1, 5)),
        ("0:4", (0, 1, 2, 3, 4)),
        ("0:12:4", (0, 4, 8, 12)),
        ("0:11:4", (0, 4, 8)),
        ([0, "2:3"], (0, 2, 3)),
    ],
)
def test_a_range_is_inclusive(given: object, expected: tuple[int, ...]) -> None:
    assert expected == integers(given, "depth")


@pytest.mark.parametrize("given", ["4:0", "0:4:0", "a:b", "1", "1:2:3:4", "0:99999999", True, 1.5, [], None])
def test_what_is_no_range_is_refused_with_its_key(given: object) -> None:
    with pytest.raises(InputError, match="cases: depth"):
        integers(given, "cases: depth")


def test_a_word_stands_for_itself_and_a_list_for_each_of_its_words() -> None:
    assert ("path",) == strings("path", "form")
    assert ("path", "collapsed") == strings(["path", "collapsed"], "form")
    with pytest.raises(InputError, match="form"):
        strings([1], "form")


def test_a_boolean_stands_for_itself_and_a_list_for_each_of_its_booleans() -> None:
    assert (False,) == booleans(False, "bias")
    assert (True, False) == booleans([True, False], "bias")


@pytest.mark.parametrize("given", ["no", "false", 0, 1, None, [], [True, "no"], [[True]]])
def test_what_is_no_boolean_is_refused_with_its_key(given: object) -> None:
    with pytest.raises(InputError, match=r"cases: bias is .*; give true or false"):
        booleans(given, "cases: bias")


def test_a_text_is_one_line_and_nothing_else_is_a_text() -> None:
    assert "a sentence" == text("a\nsentence\n", "title")
    with pytest.raises(InputError, match="title is 3; give a text in quotes"):
        text(3, "title")
