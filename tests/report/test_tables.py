"""Tables are rows of data first: verdicts, failures, the machine, the cases."""

import json
import math
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace

import pytest

from capratio.records.record import Record
from capratio.records.summary import summarise
from capratio.report.frame import tidy
from capratio.report.summary_table import COLUMNS, JSON_KEYS, cells, common_parts, summary_json, summary_rows
from capratio.report.tables import (
    failed_table,
    law_table,
    machine_table,
    suite_table,
    verdict_headline,
    verdict_table,
)
from capratio.scaling.verdict import Verdict


def test_exact_laws_come_first_and_broken_ones_before_all_others(verdict_maker: Callable[..., Verdict]) -> None:
    given = [
        verdict_maker(claim="a", kind="fitted", status="holds"),
        verdict_maker(claim="b", kind="fitted", status="broken"),
        verdict_maker(claim="c", kind="exact", status="holds"),
        verdict_maker(claim="d", kind="exact", status="undecided"),
        verdict_maker(claim="e", kind="exact", status="broken"),
    ]

    assert ["e", "d", "c", "b", "a"] == [row.claim for row in verdict_table(given)]


@pytest.mark.parametrize("status, icon", [("holds", "\N{CHECK MARK}"), ("broken", "\N{BALLOT X}"), ("undecided", "?")])
def test_a_status_has_an_icon_and_a_word(verdict_maker: Callable[..., Verdict], status: str, icon: str) -> None:
    (row,) = verdict_table([verdict_maker(status=status)])

    assert (icon, status) == (row.icon, row.status)


def test_a_fitted_estimate_has_its_interval_and_the_promise_its_margin(verdict_maker: Callable[..., Verdict]) -> None:
    verdict = verdict_maker(kind="fitted", estimate=1.0234, low=0.951, high=1.082, expected=1.0, margin=0.15)

    (row,) = verdict_table([verdict])

    assert "1.02 [0.951, 1.08]" == row.estimate.replace("\u00a0", " ")
    assert "1 ± 0.15" == row.expected


def test_an_exact_law_has_integers_and_no_bar(verdict_maker: Callable[..., Verdict]) -> None:
    (row,) = verdict_table([verdict_maker(kind="exact", estimate=133955584.0, expected=133955584.0, margin=None)])

    assert "133,955,584" == row.estimate == row.expected
    assert row.bar is None


def test_the_bar_puts_the_promise_in_the_middle_and_cuts_what_lies_far_out(
    verdict_maker: Callable[..., Verdict],
) -> None:
    verdict = verdict_maker(kind="fitted", estimate=1.0, low=0.9, high=9.0, expected=1.0, margin=0.1)

    (row,) = verdict_table([verdict])

    assert row.bar is not None
    assert 0.5 == pytest.approx(row.bar.estimate)
    assert 0.4 == pytest.approx(row.bar.band_low)
    assert 0.6 == pytest.approx(row.bar.band_high)
    assert 1.0 == row.bar.high


def test_a_law_without_an_estimate_shows_a_dash_and_its_advice(verdict_maker: Callable[..., Verdict]) -> None:
    verdict = verdict_maker(kind="fitted", status="undecided", estimate=None, low=None, high=None, advice="Needs k.")

    (row,) = verdict_table([verdict])

    assert ("\N{EN DASH}", "Needs k.", None) == (row.estimate, row.advice, row.bar)


def test_the_headline_counts_the_verdicts(verdict_maker: Callable[..., Verdict]) -> None:
    given = [verdict_maker(status=status) for status in ("holds", "holds", "broken")]

    assert "Of 3 laws tested, 2 hold, 1 is broken and 0 are undecided." == verdict_headline(given)
    assert "No law was tested: no case of this run serves a claim." == verdict_headline([])


def test_a_law_is_told_in_full_once_a_claim(verdict_maker: Callable[..., Verdict]) -> None:
    given = [verdict_maker(claim=claim, title=f"T{claim}", text="One\n``line``.\n\nTwo.") for claim in ("b", "a", "b")]

    laws = law_table(given)

    assert [("b", "Tb", "One line. Two."), ("a", "Ta", "One line. Two.")] == [
        (law.claim, law.title, law.text) for law in laws
    ]


def test_suites_are_told_by_title_and_analysis() -> None:
    suites = [
        {"name": "tree", "title": "Three lines", "analysis": "\nThey\ndecide.\n", "groups": {"k line": "Why."}},
        {"name": "bare"},
    ]

    assert [("Three lines", "They decide."), ("bare", "")] == suite_table({"suites": suites})


@pytest.mark.parametrize("machine", [{}, {"suites": None}, {"suites": "tree"}, {"suites": ["tree", 7]}])
def test_a_machine_that_names_no_suites_has_none(machine: dict[str, object]) -> None:
    assert [] == suite_table(machine)


def test_what_tells_runs_apart_is_no_row_of_the_machine() -> None:
    rows = machine_table({"cores": 2, "identity": {"package": "5f"}, "suites": [{"name": "tree"}], "a": {"suites": 1}})

    assert [("cores", "2"), ("a · suites", "1")] == rows


def test_failed_cases_keep_their_reason_and_number_of_processes(record_maker: Callable[..., Record]) -> None:
    good = record_maker(depth=2)
    bad = replace(good, case="x", status="timed-out", reason="it took 60 s.", timing=None)

    rows = failed_table([good, bad, replace(bad, replicate=1)])

    assert [("x", "timed-out", 2, "it took 60 s.")] == [(r.case, r.status, r.replicates, r.reason) for r in rows]


def test_a_nested_machine_is_flattened() -> None:
    rows = machine_table({"cpu_model": "X", "caches": {"l2_bytes": 5}, "tags": ["a", "b"], "dirty": False, "gpu": None})

    expected = [("cpu model", "X"), ("caches · l2 bytes", "5"), ("tags", "a, b"), ("dirty", "no")]
    assert [*expected, ("gpu", "\N{EN DASH}")] == rows


def test_the_json_rows_are_the_tables_rows_and_can_be_sorted_by_every_column(records: list[Record]) -> None:
    rows = summary_rows(tidy(summarise(records)))

    document = json.loads(summary_json(rows))

    assert list(JSON_KEYS) == document["columns"]
    assert [row["case"] for row in rows] == [values[0] for values in document["rows"]]
    assert all(column.key in document["columns"] for column in COLUMNS)
    assert "case" == COLUMNS[0].key == JSON_KEYS[0]


def test_exact_integers_stay_whole_in_json(record_maker: Callable[..., Record]) -> None:
    rows = summary_rows(tidy(summarise([record_maker("tree-shared", p=511, q=513, depth=12)])))

    document = json.loads(summary_json(rows))

    values = dict(zip(document["columns"], document["rows"][0], strict=True))
    assert (2**13 - 1) * 511 * 513 == values["weight_parameters"]


def test_json_of_hostile_names_cannot_leave_its_element(record_maker: Callable[..., Record]) -> None:
    made = replace(record_maker(), case="</script><script>alert(1)//&")

    text = summary_json(summary_rows(tidy(summarise([made]))))

    assert "<" not in text
    assert "&" not in text
    assert made.case == json.loads(text)["rows"][0][0]


def test_a_number_that_is_not_known_is_a_dash_and_null(record_maker: Callable[..., Record]) -> None:
    made = replace(record_maker(), limit=None, memory=None)

    rows = summary_rows(tidy(summarise([made])))

    assert rows[0]["limit_s"] is None
    assert "\N{EN DASH}" in cells(rows[0])
    assert not any(isinstance(value, float) and math.isnan(value) for value in rows[0].values())


def test_parts_that_all_cases_share_are_said_once(record_maker: Callable[..., Record]) -> None:
    rows = summary_rows(tidy(summarise([record_maker(depth=1), record_maker(depth=2, cache="warm")])))

    common = common_parts(rows)

    assert ["tree-shared[path]", "n1", "float32", "cpu", "decode", "text+measured", "reference", "t2"] == common
    assert "p512-q512-k1/cold" == cells(rows[0], common)[0]


def test_tables_are_cheap_to_import() -> None:
    code = (
        "import sys, capratio.report.tables\n"
        "heavy = {'torch', 'numpy', 'pandas', 'matplotlib', 'seaborn', 'jinja2'} & set(sys.modules)\n"
        "print(sorted(heavy))"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert ("[]\n", "") == (done.stdout, done.stderr)
