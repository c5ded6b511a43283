"""An option's text gives the value back that it was made of."""

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from capratio.errors import InputError
from capratio.sweep.options import option_of, value_of, values_of

# A text that JSON would read as something else must come back as the text that it is.
LOOKS_LIKE_JSON = [
    "1",
    "-0",
    "1e5",
    "true",
    "null",
    "NaN",
    "Infinity",
    '"quoted"',
    '"',
    " 7",
    "[1]",
    "{}",
    "",
    "\\u0041",
]
numbers = st.integers() | st.floats(allow_nan=False)
texts = st.text() | st.sampled_from(LOOKS_LIKE_JSON)


@given(value=numbers | st.booleans() | texts)
@example(value=1)
@example(value=1.0)
@example(value=True)
@example(value=math.inf)
@example(value="1")
@example(value='"1"')
def test_an_option_is_the_value_that_it_was_made_of(value: str | float | bool) -> None:
    back = value_of(option_of(value, "options.x"))

    assert (type(value), value) == (type(back), back)


@given(one=numbers | st.booleans() | texts, other=numbers | st.booleans() | texts)
def test_different_values_have_different_texts(one: str | float | bool, other: str | float | bool) -> None:
    same = (type(one), one) == (type(other), other) and str(one) == str(other)

    assert same == (option_of(one, "options.x") == option_of(other, "options.x"))


@pytest.mark.parametrize(
    ("value", "text"),
    [(16, "16"), (0.5, "0.5"), (True, "true"), (False, "false"), ("relu", "relu"), ("16", '"16"'), ("true", '"true"')],
)
def test_a_text_reads_as_a_person_would_write_it(value: str | float | bool, text: str) -> None:
    assert text == option_of(value, "options.x")


def test_arguments_have_the_values_of_their_options() -> None:
    assert {"experts": 16, "rate": 0.5, "bias": False, "act": "relu", "name": "16"} == values_of(
        {"experts": "16", "rate": "0.5", "bias": "false", "act": "relu", "name": '"16"'}
    )


@pytest.mark.parametrize("value", [None, [1], {"a": 1}, (1,), 1j])
def test_what_is_neither_number_nor_truth_value_nor_text_is_refused_with_its_place(value: object) -> None:
    with pytest.raises(InputError, match=r"^cases\[1\]: options\.x is .*; give a number, true, false or a text"):
        option_of(value, "cases[1]: options.x")
