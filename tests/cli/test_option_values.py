"""``--set`` as a person writes it: keys with one value or several, and what would be misread is refused."""

import click
import pytest

from capratio.cli.option_values import option_values


def read(*given: str) -> dict[str, list[str]]:
    parameter = click.Option(["--set"])
    return option_values(click.Context(click.Command("sweep")), parameter, given)


def test_each_option_has_the_values_between_its_commas() -> None:
    assert {"experts": ["16", "64"], "top_k": ["2"], "act": ["relu"]} == read("experts=16,64", "top_k=2", "act=relu")


def test_a_value_may_hold_an_equals_sign() -> None:
    assert {"rule": ["a=b", "c"]} == read("rule=a=b,c")


@pytest.mark.parametrize("text", ["experts", "=4", "experts=", "experts=4,", "experts=,4", "top-k=2", "1st=2", ""])
def test_what_is_no_key_with_values_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="is not key=value, or key=value,value such as experts=16,64"):
        read(text)


def test_an_option_that_is_given_twice_is_refused() -> None:
    with pytest.raises(click.BadParameter, match="experts is given twice; give all its values at once"):
        read("experts=4", "experts=8")


@pytest.mark.parametrize(
    ("text", "how"),
    [
        ("bias=True", "write true"),
        ("bias=true,False", "write false"),
        ("bias=None", "leave the option out"),
        ("bias=null", "leave the option out"),
        ("sizes=[1,2]", "a number, true, false or a text"),
        ("sizes={}", "a number, true, false or a text"),
        ("sizes=(1,2)", "a number, true, false or a text"),
    ],
)
def test_what_would_be_taken_for_a_text_and_is_none_is_refused(text: str, how: str) -> None:
    with pytest.raises(click.BadParameter, match=how):
        read(text)
