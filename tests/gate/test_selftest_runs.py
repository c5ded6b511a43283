"""A selftest on the disk: replayed it is what it was, and what is missing, mixed or foreign is refused."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from capratio.errors import InputError
from capratio.gate.block_plan import BlockPlan
from capratio.gate.blocks_run import BlocksRun, run_blocks
from capratio.gate.policy import Budget, Policy
from capratio.gate.process_store import ProcessStore
from capratio.gate.selftest import SelftestRun, selftest
from capratio.gate.selftest_json import SELFTEST, SelftestRecord, encode_selftest, read_selftest
from capratio.gate.selftest_runs import publish, read_stored, replay
from capratio.gate.validity import Block
from tests.gate.simulated import SilentWatcher, SimulatedMachine

CASES = ["case-0", "case-1", "case-2"]
POLICY = Policy()
SLOW = {"case-0": 0.10, "case-2": 0.10}


def measured(folder: Path, name: str, slowdowns: dict[str, float], seed: int = 1, **other: object) -> BlocksRun:
    """A whole run in a folder, as a selftest leaves it."""
    identity = {
        "slowdowns": [{}, slowdowns],
        "policy": {"alpha": POLICY.alpha, "anchor": POLICY.anchor, "blocks": list(POLICY.blocks)},
        "cases": [{"id": case} for case in CASES],
    }
    machine = SimulatedMachine(seed, slowdowns=slowdowns)
    with ProcessStore(folder / name, identity | other, seed) as store:

        def measure(plan: BlockPlan) -> Block:
            block = machine(plan)
            store.add(block)
            return block

        return run_blocks(CASES, POLICY, seed, measure, SilentWatcher())


@pytest.mark.parametrize("published", [False, True])
def test_a_run_that_is_replayed_is_what_it_was(tmp_path: Path, published: bool) -> None:
    run = measured(tmp_path, "slow-10-1", SLOW)

    stored = read_stored(tmp_path, ["slow-10-1"], POLICY)
    if published:
        publish(stored[0], tmp_path / "report")
        stored = read_stored(tmp_path / "report", ["slow-10-1"], POLICY)

    assert SelftestRun(run, SLOW) == replay(stored[0], POLICY)


def test_the_same_run_is_published_as_the_same_bytes(tmp_path: Path) -> None:
    measured(tmp_path, "equal-1", {})
    (stored,) = read_stored(tmp_path, ["equal-1"], POLICY)

    publish(stored, tmp_path / "one")
    publish(read_stored(tmp_path / "one", ["equal-1"], POLICY)[0], tmp_path / "two")

    for name in ("equal-1.json", "equal-1.jsonl.gz"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_a_process_that_is_missing_is_named(tmp_path: Path) -> None:
    measured(tmp_path, "equal-1", {})
    (stored,) = read_stored(tmp_path, ["equal-1"], POLICY)

    with pytest.raises(InputError, match="the run equal-1 lacks a process of its block pair 11; finish it"):
        replay(replace(stored, processes=stored.processes[:-1]), POLICY)


def test_a_run_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no run equal-7; give the folder of a selftest"):
        read_stored(tmp_path, ["equal-7"], POLICY)


@pytest.mark.parametrize("name", ["../equal-1", "/etc/passwd", "", "a/b"])
def test_a_name_is_no_way_out_of_the_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="names are of letters, digits and hyphens"):
        read_stored(tmp_path, [name], POLICY)


def test_runs_of_two_commits_are_not_mixed(tmp_path: Path) -> None:
    measured(tmp_path, "equal-1", {}, base="a")
    measured(tmp_path, "slow-10-1", SLOW, base="b")

    with pytest.raises(InputError, match=r"equal-1 and slow-10-1 of .* differ in base; give a folder"):
        read_stored(tmp_path, ["equal-1", "slow-10-1"], POLICY)


def test_a_run_by_another_policy_is_refused(tmp_path: Path) -> None:
    measured(tmp_path, "equal-1", {})

    with pytest.raises(InputError, match=r"the run equal-1 .* was made by .*, not by"):
        read_stored(tmp_path, ["equal-1"], replace(POLICY, blocks=(6,)))


@pytest.mark.parametrize(
    "text, said",
    [
        ("[]", "cannot be read"),
        ('{"schema": 9}', "has schema 9"),
        ('{"schema": 1, "seed": 1}', "names no identity or no seed"),
        (
            '{"schema": 1, "seed": 1, "identity": {"cases": [7], "slowdowns": [{}, {}], "policy": {}}}',
            "lacks its cases",
        ),
    ],
)
def test_a_damaged_description_is_refused(tmp_path: Path, text: str, said: str) -> None:
    measured(tmp_path, "equal-1", {})
    (tmp_path / "equal-1" / "gate.json").write_text(text)

    with pytest.raises(InputError, match=said):
        read_stored(tmp_path, ["equal-1"], POLICY)


@pytest.fixture
def record(tmp_path: Path) -> SelftestRecord:
    """A selftest of two runs."""
    runs = {
        "equal-1": SelftestRun(measured(tmp_path, "equal-1", {}), {}),
        "slow-10-1": SelftestRun(measured(tmp_path, "slow-10-1", SLOW), SLOW),
    }
    policy = replace(POLICY, budgets=(Budget("*", "flop", 0.01, "a reason"),))
    return SelftestRecord("c" * 40, policy, {"cpu_model": "x"}, selftest(runs, policy, lambda message: None, 3))


def test_a_record_is_read_as_it_was_written(tmp_path: Path, record: SelftestRecord) -> None:
    (tmp_path / SELFTEST).write_text(encode_selftest(record))

    assert record == read_selftest(tmp_path)
    assert "2026-05-04" == record.date


@pytest.mark.parametrize(
    "given, said",
    [
        ({"schema": 7}, "its schema is 7"),
        ({"commit": 1}, "names no commit"),
        ({"policy": {"alpha": 2.0}}, "its policy is out of range"),
        ({"policy": {"blocks": []}}, "its policy is out of range"),
        ({"policy": {"blocks": [12, 12]}}, "its policy is out of range"),
        ({"result": {}}, r"the field result\.runs is missing"),
    ],
)
def test_a_record_that_is_none_is_refused(
    tmp_path: Path, record: SelftestRecord, given: dict[str, object], said: str
) -> None:
    (tmp_path / SELFTEST).write_text(json.dumps(json.loads(encode_selftest(record)) | given))

    with pytest.raises(InputError, match=said):
        read_selftest(tmp_path)


def test_a_folder_without_a_record_says_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"has no selftest\.json; give the folder of a selftest that was finished"):
        read_selftest(tmp_path)
