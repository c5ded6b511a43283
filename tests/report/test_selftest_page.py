"""The selftest's page: one offline file, the goals first, the same bytes from the same data, names as text."""

import json
import re
from dataclasses import replace

import pytest

from capratio.errors import InputError
from capratio.gate.blocks_run import run_blocks
from capratio.gate.policy import Policy
from capratio.gate.proportion import Proportion
from capratio.gate.selftest import Selftest, SelftestRun, selftest, slowed_cases
from capratio.gate.selftest_json import SelftestRecord, encode_selftest
from capratio.gate.selftest_peers import Peers, read_peers
from capratio.report.figures import gate_power
from capratio.report.figures.gate_power import DEALT, GOAL, WHOLE
from capratio.report.page_assets import LARGEST_PAGE_BYTES
from capratio.report.selftest_markdown import selftest_markdown
from capratio.report.selftest_page import PowerFigure, commands, selftest_page
from capratio.report.svg import inline_svg
from tests.gate.peers_file import write_peers
from tests.gate.simulated import SilentWatcher, SimulatedMachine
from tests.report.elements import Elements

CASES = [f"case-{number}" for number in range(4)]
MACHINE = {"cpu_model": "Example CPU 9000", "cores": 2}
EVIL = '"><script>alert(1)</script><img src=x onerror=alert(2)>{{ 7 * 7 }}\x1b[31m\u202e|`*'
NOTHING = Selftest((), Proportion(0, 0), Proportion(0, 0), (), Proportion(0, 0), {})


def made(seed: int, slowdown: float = 0.0) -> SelftestRun:
    slowdowns = dict.fromkeys(slowed_cases(CASES), slowdown) if slowdown else {}
    machine = SimulatedMachine(seed, slowdowns=slowdowns)
    return SelftestRun(run_blocks(CASES, Policy(), seed, machine, SilentWatcher()), slowdowns)


@pytest.fixture(scope="module")
def record() -> SelftestRecord:
    """Ten runs without a slowdown and one with 10 %, and few gates dealt out of them."""
    runs = {f"equal-{seed}": made(seed) for seed in range(1, 11)} | {"slow-10-1": made(11, 0.10)}
    return SelftestRecord("c" * 40, Policy(), MACHINE, selftest(runs, Policy(), lambda message: None, 5))


@pytest.fixture(scope="module")
def peers(tmp_path_factory: pytest.TempPathFactory) -> Peers:
    return read_peers(write_peers(tmp_path_factory.mktemp("peers") / "peers.json", MACHINE))


def figure_of(result: Selftest) -> PowerFigure | None:
    drawing = gate_power.draw(result, 0.02)
    if drawing is None:
        return None
    return PowerFigure(inline_svg(drawing.figure, "power", "Power", drawing.caption), drawing.caption)


@pytest.fixture(scope="module")
def page(record: SelftestRecord, peers: Peers) -> str:
    """A page that has everything."""
    return selftest_page(record, peers, figure_of(record.result))


def test_the_verdict_stands_first_in_words_and_colour(page: str, record: SelftestRecord) -> None:
    alarmed = replace(record.result, alarms=Proportion(20, 1000))

    missed = selftest_page(replace(record, result=alarmed), None, None).split("<nav")[0]

    assert '<div class="verdict holds">' in page.split("<nav")[0]
    assert "The gate reaches all of its 6 goals." in page.split("<nav")[0]
    assert '<div class="verdict broken">' in missed
    assert "Not reached: false alarms in at most 1 % of gates dealt out." in missed


def test_sections_stand_in_the_order_in_which_they_are_asked_for(page: str) -> None:
    names = re.findall(r'<section id="([^"]+)">', page)

    assert ["goals", "power", "runs", "peers", "method", "spread", "machine", "again"] == names
    assert names == re.findall(r'<a href="#([^"]+)">', page.split("<nav")[1].split("</nav>")[0])


def test_every_whole_run_is_a_row_and_the_others_stand_beside(page: str) -> None:
    rows = page.split('<section id="runs">')[1].split("</section>")[0]

    assert 11 == rows.count("<tr><td")
    assert "slow-10-1" in rows
    assert "asv continuous" in page.split('<section id="peers">')[1].split("</section>")[0]


def test_without_peers_and_without_a_figure_the_page_is_whole() -> None:
    bare = selftest_page(SelftestRecord("c" * 40, Policy(), MACHINE, NOTHING), None, figure_of(NOTHING))

    assert "Nothing can be said of the gate: too little was measured." in bare
    assert "No run was measured from which a point could be drawn." in bare
    assert 'id="peers"' not in bare


def test_nothing_is_fetched_from_elsewhere_and_nothing_runs(page: str) -> None:
    seen = Elements(page)

    addresses = [value for name, value in seen.attributes if name in {"href", "src", "srcset", "action", "data"}]
    assert all(address.startswith("#") for address in addresses)
    assert not {"link", "img", "iframe", "object"} & set(seen.tags)
    assert ["application/json"] == [value for name, value in seen.attributes if name == "type"]
    assert len(page.encode()) < LARGEST_PAGE_BYTES


def test_light_dark_and_print_are_provided_for(page: str) -> None:
    assert "prefers-color-scheme: dark" in page
    assert "@media print" in page
    assert "var(--ours)" in page.split("<svg")[1]


def test_no_id_is_there_twice(page: str) -> None:
    ids = [value for name, value in Elements(page).attributes if name == "id"]

    assert len(ids) == len(set(ids))


def test_the_page_carries_all_of_its_numbers(page: str, record: SelftestRecord) -> None:
    text = re.search(r'id="outcome">(.*?)</script>', page, re.DOTALL)

    assert text is not None
    assert json.loads(encode_selftest(record)) == json.loads(text.group(1))


def test_the_same_data_give_the_same_bytes(page: str, record: SelftestRecord, peers: Peers) -> None:
    assert page == selftest_page(record, peers, figure_of(record.result))


def test_hostile_names_stay_text(record: SelftestRecord, peers: Peers) -> None:
    runs = tuple(replace(run, name=EVIL, void=EVIL, started_at=EVIL) for run in record.result.runs)
    evil = replace(
        record,
        commit=EVIL,
        machine={EVIL: EVIL, "cpu_model": EVIL},
        result=replace(NOTHING, runs=runs, spreads={EVIL: 1}),
    )
    hostile = replace(peers, commit=EVIL, versions={EVIL: EVIL}, runs=(replace(peers.runs[0], tool=EVIL),))

    page = selftest_page(evil, hostile, None)
    twin = selftest_markdown(evil, hostile, None, "power.svg")

    seen = Elements(page)
    assert 1 == seen.tags.count("script")
    assert "img" not in seen.tags
    assert not [name for name, _ in seen.attributes if name.startswith("on")]
    for text in (page, twin):
        assert "\x1b" not in text
        assert "\u202e" not in text
    prose = [line for line in twin.splitlines() if not line.startswith("    ")]
    assert not any("<img" in line for line in prose)


def test_the_markdown_twin_says_the_same(record: SelftestRecord, peers: Peers) -> None:
    twin = selftest_markdown(record, peers, figure_of(record.result), "power.svg")

    assert twin.startswith("# ✓ The gate reaches all of its 6 goals.\n\nReached: ")
    headings = [line.removeprefix("## ") for line in twin.splitlines() if line.startswith("## ")]
    assert [
        "Goals",
        "Power and false alarms",
        "Whole runs",
        "Beside the others",
        "What was done",
        "Spread between processes",
        "Machine",
        "Make it again",
    ] == headings
    assert "](power.svg)" in twin
    assert "| slow-10-1 |" in twin


def test_the_commands_measure_as_many_runs_as_there_are(record: SelftestRecord, peers: Peers) -> None:
    assert [
        f"git checkout {'c' * 40}",
        "python -m benchmarks.gate_peers --out peers.json --runs 2",
        "capratio gate selftest --runs 10 --slow-runs 1 --peers peers.json --report FOLDER",
    ] == commands(record, peers)


def test_a_page_over_its_limit_is_refused(record: SelftestRecord, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("capratio.report.page_assets.LARGEST_PAGE_BYTES", 1000)

    with pytest.raises(InputError, match=r"the selftest's page would take \d+ bytes for 11 runs; at most 1000"):
        selftest_page(record, None, None)


def test_the_curve_has_a_point_a_slowdown_with_its_interval_and_whole_runs_beside(record: SelftestRecord) -> None:
    rows = gate_power.select(record.result)

    dealt, whole, goals = (rows[rows["series"] == name] for name in (DEALT, WHOLE, GOAL))
    assert [0, 1, 2, 3, 4, 5, 7, 10, 15] == [round(each) for each in dealt["slowdown"]]
    assert [0, 10] == [round(each) for each in whole["slowdown"]]
    assert [(0, 1), (5, 95), (10, 99)] == [
        (round(x), round(y)) for x, y in zip(goals["slowdown"], goals["found"], strict=True)
    ]
    assert 30.85 == pytest.approx(whole["high"].iloc[0], abs=0.01)
    assert ((dealt["low"] <= dealt["found"]) & (dealt["found"] <= dealt["high"])).all()


def test_without_a_measured_point_there_is_no_curve() -> None:
    assert gate_power.draw(NOTHING, 0.02) is None
