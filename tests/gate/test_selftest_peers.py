"""What other gates did is read strictly, and stands beside ours with the slower cases apart from the equal ones."""

import json
from pathlib import Path
from typing import Any

import pytest

from capratio.errors import InputError
from capratio.gate.proportion import Proportion
from capratio.gate.selftest import Selftest, WholeRun
from capratio.gate.selftest_peers import HEADINGS, OURS, beside, find_peers, read_peers
from tests.gate.peers_file import peers_of, write_peers

MACHINE = {"cpu_model": "Example CPU 9000", "cores": 2}
NONE = Proportion(0, 0)


def whole_run(name: str, slowdown: float, slowed: int, found: int, void: str | None = None) -> WholeRun:
    return WholeRun(name, slowdown, "2026-05-04T10:00:00+00:00", 1, 20, slowed, 20, found, 0, 1, void, 12, 300.0, 0.01)


OUR_RUNS = (whole_run("equal-1", 0.0, 0, 0), whole_run("equal-2", 0.0, 0, 0, "it moved"), whole_run("slow", 0.1, 10, 9))


def test_ours_and_theirs_stand_in_one_table(tmp_path: Path) -> None:
    peers = read_peers(write_peers(tmp_path / "peers.json", MACHINE))

    rows = beside(Selftest(OUR_RUNS, NONE, NONE, (), NONE, {}), peers)

    assert [
        [OURS, "nothing", "1", "0", "-", "0 of 20", "1", "-", "5 min 00 s"],
        [OURS, "10 %", "1", "1", "9 of 10", "0 of 10", "1", "-", "5 min 00 s"],
        ["asv continuous", "nothing", "2", "0", "-", "2 of 8", "0", "10 min 00 s", "6 min 40 s"],
        ["asv continuous", "10 %", "2", "2", "2 of 8", "-", "0", "10 min 00 s", "6 min 40 s"],
        ["pytest-benchmark", "nothing", "2", "0", "-", "2 of 8", "0", "10 min 00 s", "-"],
        ["pytest-benchmark", "10 %", "2", "2", "2 of 8", "-", "0", "10 min 00 s", "-"],
    ] == rows
    assert all(len(HEADINGS) == len(row) for row in rows)


def test_versions_and_what_asv_says_of_twice_the_time_are_told(tmp_path: Path) -> None:
    told = read_peers(write_peers(tmp_path / "peers.json", MACHINE)).sentences()

    assert "Measured with asv 0.6.6, pytest-benchmark 5.3.1, at commit dddddddddddd." == told[0]
    assert "asv continuous calls it alike (the p-value of its test is 0.00216, its bar 0.002)." in told[1]


def test_those_of_another_machine_are_refused(tmp_path: Path) -> None:
    peers = read_peers(write_peers(tmp_path / "peers.json", MACHINE))

    peers.check_machine(MACHINE | {"python": "3.12"})
    with pytest.raises(InputError, match=r"another machine \(cores differ\)"):
        peers.check_machine(MACHINE | {"cores": 64})


def test_those_of_a_report_are_found_where_none_are_given(tmp_path: Path) -> None:
    assert find_peers(None, tmp_path) is None
    assert find_peers(None, None) is None

    write_peers(tmp_path / "peers.json", MACHINE)

    assert find_peers(None, tmp_path) == read_peers(tmp_path / "peers.json")


@pytest.mark.parametrize(
    "given",
    [
        {"of": 1},
        {"of": {"commit": 7}},
        {"runs": 7},
        {"runs": [{"tool": "asv"}]},
        {"runs": [{"tool": [], "percent": 0}]},
        {"doubled": [{"processes": "x", "called": "alike", "mann_whitney_p": 0, "bar": 0}]},
    ],
)
def test_a_file_of_another_kind_is_refused(tmp_path: Path, given: dict[str, Any]) -> None:
    path = tmp_path / "peers.json"
    path.write_text(json.dumps(peers_of(MACHINE) | given))

    with pytest.raises(InputError, match=r"is not what benchmarks/gate_peers\.py writes"):
        read_peers(path)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_peers(tmp_path / "nowhere.json")
