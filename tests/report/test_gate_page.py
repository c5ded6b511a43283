"""The gate's page: one offline file, the verdict first, every case in it, and names from outside as text."""

import json
import re
from dataclasses import replace
from math import inf

import pytest

from capratio.errors import InputError
from capratio.gate.comparison import Comparison, Rise
from capratio.gate.decision import Decision
from capratio.gate.outcome_json import outcome_json
from capratio.gate.policy import Policy
from capratio.gate.sides import Series, Side
from capratio.report.gate_page import LOOKS, gate_page
from capratio.report.page_assets import LARGEST_PAGE_BYTES
from tests.report.elements import Elements

COMMAND = "capratio gate files base head --html 'a & b.html'"
REGRESSED = Decision("slow/n1", "regressed", 0.02, 1.15, 1.12, 1.18, 0.001, 0.03)
IMPROVED = Decision("fast/n1", "improved", 0.02, 0.9, 0.88, 0.92, 1.0, 0.03)
UNCHANGED = Decision("same/n1", "unchanged", 0.02, 1.001, 0.99, 1.01, 0.9, 0.03)
BLIND = Decision("blind/n1", "undecided", 0.02, 1.01, 0.0, inf, 0.5, inf, "so few processes find no slowdown")
UNASKED = Decision("unasked/n1", "undecided", 0.02, sentence="the file does not say which process a sample is of")
RISE = Rise("risen/n1", "flop", 1000, 1030, 0.0)
VOID = "the machine's own bandwidth differed by a factor of 1.30"


def comparison(*decisions: Decision, **given: object) -> Comparison:
    """A comparison of two runs that were never measured."""
    machine = {"cpu_model": "Example CPU 9000"}
    base, head = (
        Side(name, "run", machine, commit * 40, {each.case: Series((1.0,), True) for each in decisions})
        for name, commit in (("runs/base", "b"), ("runs/head", "a"))
    )
    made = Comparison(base, head, decisions, (), 7, (), (), {}, None)
    return replace(made, **given)  # type: ignore[arg-type]


def page_of(*decisions: Decision, **given: object) -> str:
    return gate_page(comparison(*decisions, **given), Policy(), COMMAND)


def section(page: str, name: str) -> str:
    """The HTML of one section."""
    return page.split(f'<section id="{name}">')[1].split("</section>")[0]


@pytest.fixture(scope="module")
def page() -> str:
    """A page that has everything."""
    return page_of(
        UNCHANGED,
        BLIND,
        REGRESSED,
        UNASKED,
        IMPROVED,
        rises=(RISE,),
        failed={"broken/n1": "crashed: the worker was killed"},
        only_base=("gone/n1",),
        only_head=("new/n1",),
        notes=("Twelve blocks of one process a side.",),
    )


@pytest.mark.parametrize(
    "decisions, given, words, tone",
    [
        ([UNCHANGED], {}, "Passed: nothing is slower than its budget.", "holds"),
        ([REGRESSED], {}, "Regressed.", "broken"),
        ([UNCHANGED], {"rises": (RISE,)}, "Regressed.", "broken"),
        ([BLIND], {}, "Undecided: nothing regressed, and not every case can be told.", "undecided"),
        ([REGRESSED], {"void": VOID}, "Void: the machine moved, so that nothing is said.", "undecided"),
        ([UNCHANGED], {"failed": {"a": "b"}}, "Failed: a case that base measured has no latency at head.", "broken"),
        ([], {}, "Nothing was compared: no case was measured on both sides.", "undecided"),
    ],
)
def test_the_verdict_stands_first_in_words_and_colour(
    decisions: list[Decision], given: dict[str, object], words: str, tone: str
) -> None:
    made = comparison(*decisions, **given)

    top = gate_page(made, Policy(), COMMAND).split("<nav")[0]

    assert f'<div class="verdict {tone}">' in top
    assert f'<h1><span aria-hidden="true">{LOOKS[made.verdict][0]}</span> {words}</h1>' in top


def test_the_totals_stand_beside_the_verdict(page: str) -> None:
    assert "1 regressed, 1 improved, 2 undecided, 1 unchanged, 1 exact rise." in page.split("<nav")[0]


def test_sections_stand_in_the_order_in_which_they_are_asked_for(page: str) -> None:
    names = re.findall(r'<section id="([^"]+)">', page)

    expected = ["sides", "validity", "rises", "failed", "cases", "forest", "one-sided", "machine", "again"]
    assert expected == names
    assert names == re.findall(r'<a href="#([^"]+)">', page.split("<nav")[1].split("</nav>")[0])


def test_every_case_is_a_row_regressions_first(page: str) -> None:
    rows = section(page, "cases").split("<tbody>")[1].split("</tbody>")[0]

    names = re.findall(r'<td class="case">([^<]+)', rows)
    assert ["slow/n1", "fast/n1", "blind/n1", "unasked/n1", "same/n1"] == [f"{name}/n1" for name in names]
    for text in ("1.150", "1.120 to 1.180", "unbounded", "2 %", "+3.0%", "so few processes find no slowdown"):
        assert text in rows


def test_the_forest_plot_has_a_row_for_each_estimate_and_says_who_has_none(page: str) -> None:
    forest = section(page, "forest")

    for decision in (REGRESSED, IMPROVED, BLIND, UNCHANGED):
        assert f'<g class="{decision.status}"><title>{decision.case}</title>' in forest
    assert "<title>unasked/n1</title>" not in forest
    assert "In the table alone: 1 case without an estimate." in forest
    # The interval without bounds goes on at both ends.
    assert 2 == forest.count('class="arrow"')


def test_a_comparison_without_an_estimate_says_that_there_is_nothing_to_draw() -> None:
    assert "nothing to draw" in section(page_of(UNASKED), "forest")


def test_exact_rises_failures_and_cases_of_one_side_are_named(page: str) -> None:
    assert re.search(r"risen/n1<td>flop<td[^>]*>1,000<td[^>]*>1,030<td[^>]*>0 %", section(page, "rises"))
    assert "broken/n1<td>crashed: the worker was killed" in section(page, "failed")
    assert "gone/n1" in section(page, "one-sided").split("only at head")[0]
    assert "new/n1" in section(page, "one-sided").split("only at head")[1]


def test_what_the_decisions_rest_on_is_said(page: str) -> None:
    said = section(page, "validity")

    assert "Twelve blocks of one process a side." in said
    assert "The chance of a false regression in this comparison is at most 0.05" in said
    assert "declared" in section(gate_page(comparison(UNCHANGED), Policy(), COMMAND, independent=True), "validity")


def test_a_void_page_says_why_before_anything_else() -> None:
    assert "differed by a factor of 1.30" in page_of(REGRESSED, void=VOID).split("<nav")[0]


def test_the_sides_their_machine_and_the_command_are_shown(page: str) -> None:
    assert "a" * 40 in section(page, "sides")
    assert "runs/base" in section(page, "sides")
    assert "Example CPU 9000" in section(page, "machine")
    assert "<pre><code>capratio gate files base head --html &#39;a &amp; b.html&#39;</code></pre>" in page


def test_parts_that_all_names_share_are_said_once() -> None:
    named = [replace(UNCHANGED, case=f"dense/n{tokens}/float32/cpu") for tokens in (1, 2)]

    cases = section(page_of(*named), "cases")

    assert "<code>dense/float32/cpu</code>" in cases
    assert ["n1", "n2"] == re.findall(r'<td class="case">([^<]+)', cases)


def test_names_that_would_not_differ_without_their_shared_parts_are_shown_in_full() -> None:
    named = [replace(UNCHANGED, case=case) for case in ("a/b", "b/a")]

    assert ["a/b", "b/a"] == re.findall(r'<td class="case">([^<]+)', section(page_of(*named), "cases"))


def test_nothing_is_fetched_from_elsewhere_and_nothing_runs(page: str) -> None:
    seen = Elements(page)

    addresses = [value for name, value in seen.attributes if name in {"href", "src", "srcset", "action", "data"}]
    assert all(address.startswith("#") for address in addresses)
    assert not {"link", "img", "iframe", "object"} & set(seen.tags)
    assert {"http://www.w3.org/2000/svg"} == set(re.findall(r"https?://[^\"' <)]+", page))
    assert re.search(r"url\((?!#)", page) is None
    assert "@import" not in page
    # The one script element holds data.
    assert ["application/json"] == [value for name, value in seen.attributes if name == "type"]


def test_light_dark_and_print_are_provided_for(page: str) -> None:
    assert "prefers-color-scheme: dark" in page
    assert "@media print" in page


def test_no_id_is_there_twice(page: str) -> None:
    ids = [value for name, value in Elements(page).attributes if name == "id"]

    assert len(ids) == len(set(ids))


def test_the_page_carries_the_whole_outcome() -> None:
    made = comparison(REGRESSED, BLIND, notes=("</script><b>",))

    text = re.search(r'id="outcome">(.*?)</script>', gate_page(made, Policy(), COMMAND), re.DOTALL)

    assert text is not None
    assert json.loads(outcome_json(made, Policy())) == json.loads(text.group(1))


def test_hostile_names_stay_text() -> None:
    evil = '"><script>alert(1)</script><img src=x onerror=alert(2)>{{ 7 * 7 }}\x1b[31m\u202e'
    slow, same = replace(REGRESSED, case=evil), replace(UNCHANGED, case=f"{evil}2")
    made = comparison(slow, same, rises=(replace(RISE, case=evil),), failed={evil: evil}, only_base=(evil,))
    made = replace(made, only_head=(evil,), notes=(evil,), void=evil)
    base = replace(made.base, name=evil, commit=evil, machine={evil: evil})

    page = gate_page(replace(made, base=base), Policy(), evil)

    seen = Elements(page)
    assert 1 == seen.tags.count("script")
    assert "img" not in seen.tags
    assert not [name for name, _ in seen.attributes if name.startswith("on")]
    assert "\x1b" not in page
    assert "\u202e" not in page
    assert "{{ 7 * 7 }}" in page


def test_two_hundred_cases_are_drawn_and_more_stay_in_the_table() -> None:
    many = [replace(UNCHANGED, case=f"layer/case-{place}/forward") for place in range(230)]

    page = page_of(*many)

    assert 200 == page.count('class="interval"')
    assert 230 == section(page, "cases").count('<td class="case">')
    assert "In the table alone: 30 cases after the first 200." in page
    assert len(page.encode()) < LARGEST_PAGE_BYTES


def test_a_page_over_its_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("capratio.report.page_assets.LARGEST_PAGE_BYTES", 1000)

    with pytest.raises(InputError, match=r"the gate's page would take \d+ bytes for 1 cases; at most 1000 are written"):
        page_of(UNCHANGED)
