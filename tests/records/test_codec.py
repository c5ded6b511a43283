"""A line is a record or one sentence."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from capratio.errors import InputError
from capratio.records.codec import decode, encode
from capratio.records.record import SCHEMA, Record, Timing


@given(data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_record_comes_back_as_it_was(records_strategy: st.SearchStrategy[Record], data: st.DataObject) -> None:
    record = data.draw(records_strategy)

    line = encode(record)

    assert record == decode(line)
    assert line.isascii()
    assert "\n" not in line


def test_a_line_from_before_compiling_was_recorded_is_read(made: Callable[..., Record]) -> None:
    raw = json.loads(encode(made()))
    del raw["timing"]["compile_s"]

    record = decode(json.dumps(raw))

    assert record.timing is not None
    assert record.timing.compile_s is None


@given(text=st.text() | st.builds(json.dumps, st.recursive(st.none() | st.integers() | st.text(), st.lists)))
@settings(max_examples=100, deadline=None)
def test_any_text_is_refused_in_one_sentence(text: str) -> None:
    with pytest.raises(InputError) as caught:
        decode(text)

    assert str(caught.value).strip().endswith(".")


@given(data=st.data())
@settings(max_examples=100, deadline=None)
def test_a_line_cut_anywhere_is_refused(made: Callable[..., Record], data: st.DataObject) -> None:
    line = encode(made())

    with pytest.raises(InputError):
        decode(line[: data.draw(st.integers(0, len(line) - 1))])


@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_a_value_of_another_type_is_refused_and_the_field_is_named(
    made: Callable[..., Record], data: st.DataObject
) -> None:
    raw = json.loads(encode(made()))
    key = data.draw(st.sampled_from(["case", "replicate", "claims", "status", "point", "timing", "limit"]))
    raw[key] = data.draw(st.sampled_from([1.5, True, [[1]], {"x": {}}, -7 if key != "status" else "gone"]))

    with pytest.raises(InputError, match=key):
        decode(json.dumps(raw))


@pytest.mark.parametrize(
    "line, message",
    [
        ('{"schema": NaN}', "NaN"),
        ('{"schema": Infinity}', "Infinity"),
        ('{"schema": 1e999}', "overflows"),
        ('{"schema": ' + "9" * 5000 + "}", "64 bits"),
        ('{"schema": 1, "schema": 1}', "twice"),
        ('{"a": "\\ud800"}', "surrogate"),
        ('{"a":' * 40 + "1" + "}" * 40, "nested deeper"),
        ("[" * 200_000, "nested deeper"),
        # Finding the key by comparing all pairs would take minutes here, and hours at the longest line.
        ("{" + "".join(f'"{i}":0,' for i in range(200_000)) + '"199999":0}', "'199999' stands twice"),
        ("[1]", "an object is expected"),
        ("", "not JSON"),
        ("{}", "without an integer 'schema'"),
        ('{"schema": true}', "without an integer 'schema'"),
        ('{"schema": 99}', "install a newer capratio"),
        ('{"schema": 0}', "read it with the capratio that wrote it"),
    ],
)
def test_hostile_lines_are_named(line: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        decode(line)


def test_an_unknown_key_is_refused(made: Callable[..., Record]) -> None:
    raw = json.loads(encode(made())) | {"colour": 1}

    with pytest.raises(InputError, match="'colour' in the record is not known"):
        decode(json.dumps(raw))


@pytest.mark.parametrize(
    "given, message",
    [
        ({"timing": None}, "has no samples"),
        ({"status": "refused"}, "timing is given"),
        ({"status": "refused", "timing": None}, "reason is empty"),
        ({"status": "gone"}, "must be one of"),
        ({"timing": Timing((1.0, 0.0), 0, 0, "count", 0.0)}, "not positive"),
        ({"timing": Timing((float("nan"),), 0, 0, "count", 0.0)}, "no JSON form"),
        ({"replicate": -1}, "at least 0"),
        ({"replicate": 2**63}, "64 bits"),
    ],
)
def test_a_record_that_could_not_be_read_is_not_written(
    made: Callable[..., Record], given: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        encode(made(**given))


def test_an_older_schema_is_converted_step_by_step(made: Callable[..., Record]) -> None:
    old = json.loads(encode(made(case="new name"))) | {"schema": SCHEMA - 2}
    old["id"] = old.pop("case")

    record = decode(
        json.dumps(old),
        {SCHEMA - 2: lambda raw: raw | {"name": raw["id"]}, SCHEMA - 1: _named},
    )

    assert ("new name", SCHEMA) == (record.case, record.schema)


def _named(raw: dict[str, object]) -> dict[str, object]:
    return {key: value for key, value in raw.items() if key not in {"id", "name"}} | {"case": raw["name"]}
