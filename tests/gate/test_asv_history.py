"""asv's folder of results read as series: by date, of one machine, and nothing hostile is taken for a number."""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from capratio.errors import InputError
from capratio.gate import foreign_json
from capratio.gate.asv_history import read_asv_history

DAY_MS = 86_400_000
Results = Mapping[str, list[object]]


def table(place: int, results: Results, **other: object) -> dict[str, Any]:
    """What asv writes of the commit of a day."""
    return {
        "commit_hash": f"{place:040x}",
        "date": place * DAY_MS,
        "env_name": "env",
        "params": {"machine": "m", "cpu": "a processor"},
        "result_columns": ["result", "params", "version", "samples"],
        "results": dict(results),
        "version": 2,
    } | other


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A machine's folder below asv's results, without a commit."""
    machine = tmp_path / "results" / "m"
    machine.mkdir(parents=True)
    (machine / "machine.json").write_text('{"machine": "m", "version": 1}')
    return machine


def write(folder: Path, place: int, results: Results, **other: object) -> Path:
    """The result file of the commit of a day; its name says nothing of the order."""
    path = folder / f"{(place * 7919) % 1000:08x}-env.json"
    path.write_text(json.dumps(table(place, results, **other)))
    return path


def values(folder: Path, case: str) -> list[float]:
    """The numbers of a case, oldest first."""
    return next([point.value for point in each.points] for each in read_asv_history(folder) if each.case == case)


def test_a_series_has_its_commits_in_the_order_of_their_dates(folder: Path) -> None:
    for place in (3, 1, 2):
        write(folder, place, {"a.time_x": [[float(place)], [], "v", None]})

    (series,) = read_asv_history(folder.parent)

    assert ("a.time_x", [1.0, 2.0, 3.0]) == (series.case, [point.value for point in series.points])
    assert datetime(1970, 1, 2, tzinfo=UTC) == series.points[0].date


def test_a_commit_counts_by_the_median_of_its_samples_and_by_its_result_where_they_are_not_kept(folder: Path) -> None:
    write(folder, 1, {"a.time_x": [[9.0], [], "v", [[1.0, 2.0, 7.0]]], "a.track_y": [[5], [], "v"]})

    assert [2.0] == values(folder, "a.time_x")
    assert [5.0] == values(folder, "a.track_y")


def test_a_benchmark_is_named_with_its_parameters_and_has_a_series_for_each_set(folder: Path) -> None:
    write(folder, 1, {"a.track_y": [[1, 2, 3, 4], [["'p'", "'q'"], ["0", "8"]], "v"]})

    assert ["a.track_y('p', 0)", "a.track_y('p', 8)", "a.track_y('q', 0)", "a.track_y('q', 8)"] == [
        each.case for each in read_asv_history(folder)
    ]
    assert [3.0] == values(folder, "a.track_y('q', 0)")


def test_a_benchmark_that_was_skipped_or_failed_has_no_point(folder: Path) -> None:
    # As asv writes them: NaN, which is no JSON, and null.
    path = write(folder, 1, {"a.track_y": [[0.5, None, 7.0], [["1", "2", "'NaN'"]], "v"]})
    path.write_text(path.read_text().replace("0.5", "NaN"))

    assert ["a.track_y('NaN')"] == [each.case for each in read_asv_history(folder)]


def test_numbers_of_an_older_version_of_a_benchmark_are_left_out(folder: Path) -> None:
    for place, version in ((1, "old"), (2, "new"), (3, "new")):
        write(folder, place, {"a.time_x": [[float(place)], [], version]})

    assert [2.0, 3.0] == values(folder, "a.time_x")


def test_environments_are_series_of_their_own(folder: Path) -> None:
    write(folder, 1, {"a.time_x": [[1.0], [], "v"]})
    write(folder, 2, {"a.time_x": [[2.0], [], "v"]}, env_name="other")

    assert ["a.time_x @ env", "a.time_x @ other"] == [each.case for each in read_asv_history(folder)]


def test_several_machines_are_refused_by_their_names_until_one_is_named(folder: Path) -> None:
    write(folder, 1, {"a.time_x": [[1.0], [], "v"]})
    other = folder.parent / "n"
    other.mkdir()
    write(other, 1, {"a.time_x": [[2.0], [], "v"]})

    with pytest.raises(InputError, match="results of m, n; name one of them with --machine"):
        read_asv_history(folder.parent)
    with pytest.raises(InputError, match="no results of the machine 'o'; it has m, n"):
        read_asv_history(folder.parent, "o")
    assert [2.0] == [point.value for each in read_asv_history(folder.parent, "n") for point in each.points]


def test_a_folder_that_is_not_there_is_refused_and_one_without_results_has_no_series(folder: Path) -> None:
    with pytest.raises(InputError, match="nowhere is not there"):
        read_asv_history(folder / "nowhere")
    assert () == read_asv_history(folder)


def test_a_machine_that_changed_is_refused(folder: Path) -> None:
    write(folder, 1, {})
    write(folder, 2, {}, params={"machine": "m", "cpu": "another"})

    with pytest.raises(InputError, match="another machine than"):
        read_asv_history(folder)


def test_a_commit_that_stands_twice_is_refused(folder: Path) -> None:
    write(folder, 1, {})
    (folder / "again.json").write_text(json.dumps(table(1, {})))

    with pytest.raises(InputError, match="are of one commit and environment"):
        read_asv_history(folder)


@pytest.mark.parametrize(
    "text, said",
    [
        ('{"commit_hash": "aaaa', "not JSON"),
        ("[" * 100_000, "nested deeper|not JSON"),
        ('{"a": ' * 40 + "1" + "}" * 40, "nested deeper"),
        ('{"date": Infinity}', "the number Infinity"),
        ("NaN", "a JSON null"),
        ('"' + '\\"' * 100_000 + "\\", "not JSON"),
        (json.dumps(table(1, {}, version=1)), "version '1' of asv's results; version 2 is read"),
        (json.dumps(table(1, {}, commit_hash="../../x")), "commit_hash"),
        (json.dumps(table(1, {}, date="yesterday")), "date = 'yesterday'"),
        (json.dumps(table(1, {}, date=10**15)), "date"),
        (json.dumps(table(1, {"n" * 2000: [[1.0], [], "v"]})), "a name of more than 1000 characters"),
        (json.dumps(table(1, {}) | {"results": {"a": 3}}), "has another form"),
        (json.dumps(table(1, {"a": [[1.0], [["1", "2"] * 50] * 9, "v"]})), "more than 100000 sets of parameters"),
        (json.dumps(table(1, {}) | {"results": []}), "no result_columns and results"),
    ],
    ids=lambda text: text[:16],
)
def test_a_hostile_file_is_refused_in_one_sentence_that_names_it(folder: Path, text: str, said: str) -> None:
    path = folder / "aaaaaaaa-env.json"
    path.write_text(text)

    with pytest.raises(InputError, match=said) as refused:
        read_asv_history(folder)

    told = str(refused.value)
    assert str(path) in told
    assert len(told) < 600 + len(str(path))
    assert 1 == len(told.splitlines())


def test_bytes_that_are_no_text_and_a_file_that_is_too_large_are_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder / "aaaaaaaa-env.json"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match=re.escape(str(path))):
        read_asv_history(folder)

    monkeypatch.setattr(foreign_json, "MOST_BYTES", 2)
    with pytest.raises(InputError, match="has 3 bytes"):
        read_asv_history(folder)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.sampled_from(sorted(table(1, {}))), JSON), st.lists(JSON, max_size=4))
def test_whatever_a_file_holds_is_read_or_refused(folder: Path, changed: dict[str, object], row: list[object]) -> None:
    path = folder / "aaaaaaaa-env.json"
    path.write_text(json.dumps(table(1, {"a.time_x": row}) | changed))

    try:
        series = read_asv_history(folder)
    except InputError as error:
        told = str(error)
    else:
        told = str(path)
        assert all(isinstance(point.value, float) for each in series for point in each.points)
    assert str(path) in told
