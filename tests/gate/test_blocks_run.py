"""A gate's run on a machine that is not there: when it stops, what it calls regressed, and when it says nothing."""

import random
from dataclasses import replace
from pathlib import Path

import pytest

from capratio.gate.block_plan import (
    AGAIN,
    BASE,
    CONFIRM,
    HEAD,
    PAIR,
    ROUNDS,
    TRIAL,
    BlockPlan,
    plan_block,
    plan_confirmation,
)
from capratio.gate.blocks_comparison import comparison_of
from capratio.gate.blocks_run import BlocksRun, run_blocks
from capratio.gate.comparison import Comparison
from capratio.gate.policy import Budget, Policy
from capratio.gate.process_result import ProcessResult
from capratio.gate.process_store import ProcessStore
from capratio.gate.validity import Block
from tests.gate.simulated import Planned, SilentWatcher, SimulatedMachine, by_process

CASES = [f"case-{number}" for number in range(20)]
POLICY = Policy()
NAMES = {BASE: "main", HEAD: "working tree"}
COMMITS = {BASE: "a" * 40, HEAD: "b" * 40}


def run_on(machine: SimulatedMachine, policy: Policy = POLICY, **given: object) -> BlocksRun:
    return run_blocks(CASES, policy, 7, machine, SilentWatcher(), **given)  # type: ignore[arg-type]


def compared(run: BlocksRun) -> Comparison:
    return comparison_of(run, NAMES, COMMITS, {"cpu_model": "a processor"})


def verdict(run: BlocksRun) -> str:
    return compared(run).verdict


def test_equal_commits_pass_at_an_early_look() -> None:
    run = run_on(SimulatedMachine(spread=0.005))

    assert {"unchanged"} == {decision.status for decision in run.decisions.values()}
    assert 12 == len(run.blocks)
    assert "passed" == verdict(run)


def test_a_slower_case_is_named_and_confirmed_and_the_others_are_not_accused() -> None:
    run = run_on(SimulatedMachine(slowdowns={"case-3": 0.10}))

    assert ["case-3"] == [case for case, decision in run.decisions.items() if decision.status == "regressed"]
    assert "when measured again in reverse order" in run.decisions["case-3"].sentence
    assert "regressed" == verdict(run)
    explained = compared(run).notes[0]
    assert explained.startswith("The same work, counted exactly, runs slower: case-3 takes 1.")


def test_a_regression_with_more_work_is_explained_by_what_it_counts() -> None:
    machine = SimulatedMachine(slowdowns={"case-3": 0.10})

    def more_work(plan: Planned) -> ProcessResult:
        result = machine.one(plan)
        more = {"case-3": {"flop": 1100}} if plan.side == HEAD and plan.stage == TRIAL else {}
        return replace(result, counts=result.counts | more)

    run = run_blocks(CASES, POLICY, 7, by_process(more_work), SilentWatcher())

    assert "and what it counts changed: flop from 100 to 1,100." in compared(run).notes[0]


def test_a_faster_case_is_improved_and_passes() -> None:
    run = run_on(SimulatedMachine(spread=0.005, slowdowns={"case-3": -0.10}))

    assert "improved" == run.decisions["case-3"].status
    assert "passed" == verdict(run)


def test_the_confirmation_measures_only_what_regressed_in_as_many_blocks() -> None:
    machine = SimulatedMachine(slowdowns={"case-3": 0.10})

    run = run_on(machine)

    again = [plan for plan in machine.planned if plan.stage == CONFIRM]
    assert {("case-3",)} == {plan.cases for plan in again}
    assert len(run.blocks) == len(run.confirmations)


@pytest.mark.parametrize("block", range(8))
def test_a_confirmation_has_its_sides_the_other_way_round(block: int) -> None:
    first, again = plan_block(block, CASES, 7), plan_confirmation(block, CASES, 7)

    for order, reverse in zip(first.turns, again.turns, strict=True):
        assert [side for side in order if side != AGAIN] == list(reverse[::-1])


def test_a_regression_that_does_not_come_again_is_undecided() -> None:
    machine = SimulatedMachine(slowdowns={"case-3": 0.10})

    def only_once(plan: Planned) -> ProcessResult:
        result = machine.one(plan)
        if plan.stage == CONFIRM and plan.side == HEAD:
            return replace(result, samples_s={case: (s[0] / 1.1,) for case, s in result.samples_s.items()})
        return result

    run = run_blocks(CASES, POLICY, 7, by_process(only_once), SilentWatcher())

    assert "undecided" == run.decisions["case-3"].status
    assert "a regression was seen once, and " in run.decisions["case-3"].sentence


def test_a_case_that_is_closed_is_not_measured_again() -> None:
    machine = SimulatedMachine(spread=0.002, slowdowns={"case-3": 0.0195})

    run = run_on(machine)

    assert 12 < len(run.blocks)
    assert ("case-3",) == machine.planned[-1].cases


def test_more_blocks_are_measured_until_the_cap_and_what_is_open_then_is_undecided() -> None:
    run = run_on(SimulatedMachine(spread=0.08))

    assert 48 == len(run.blocks)
    assert "undecided" in {decision.status for decision in run.decisions.values()}
    assert "undecided" == verdict(run)


def test_the_sides_of_a_block_take_turns_in_random_order_and_some_blocks_have_base_twice() -> None:
    plans = [plan_block(block, CASES, 7) for block in range(40)]

    assert {(BASE, HEAD), (HEAD, BASE)} <= {order for plan in plans for order in plan.turns}
    assert {ROUNDS} == {len(plan.turns) for plan in plans}
    assert 10 == sum(AGAIN in plan.sides for plan in plans)
    assert 40 == len({plan.seed for plan in plans})


@pytest.mark.parametrize("side", [BASE, HEAD])
def test_a_side_that_cannot_be_measured_ends_the_run(side: str) -> None:
    machine = SimulatedMachine(broken=side)

    run = run_on(machine)

    assert f"{side} cannot be measured: it does not import" == run.broken
    assert {TRIAL} == {plan.stage for plan in machine.planned}


def test_a_case_that_fails_at_head_fails_the_gate_and_one_that_base_lacks_does_not() -> None:
    at_head = run_on(SimulatedMachine(spread=0.005, failing=lambda p: {"case-1": "crashed"} if p.side == HEAD else {}))
    at_base = run_on(SimulatedMachine(spread=0.005, failing=lambda p: {"case-1": "no such"} if p.side != HEAD else {}))

    assert "failed" == verdict(at_head)
    assert {"case-1": "crashed"} == compared(at_head).failed
    assert "passed" == verdict(at_base)
    assert ("case-1",) == compared(at_base).only_head


def test_a_case_that_crashes_in_a_later_block_is_lost_and_the_others_are_decided() -> None:
    def later(plan: Planned) -> dict[str, str]:
        return {"case-1": "crashed"} if plan.side == HEAD and plan.stage == PAIR and plan.block == 5 else {}

    run = run_on(SimulatedMachine(spread=0.005, failing=later))

    assert ("head", "crashed") == run.lost["case-1"]
    assert "failed" == verdict(run)
    assert 19 == len(compared(run).decisions)


def test_a_machine_that_throttles_in_the_middle_makes_the_run_void() -> None:
    clock = random.Random(3)

    def throttled(plan: Planned) -> float:
        return 1e-3 * (clock.choice([1.0, 1.6]) if plan.stage == PAIR and plan.block > 4 else 1.0)

    run = run_on(SimulatedMachine(anchor=throttled))

    assert run.void is not None
    assert "blocks had to be set aside (product moved by more than 10%), by work that no commit changes" in run.void
    assert "void" == verdict(run)


def test_a_block_in_which_other_work_ran_is_set_aside_and_measured_again() -> None:
    def loaded(plan: Planned) -> float:
        return 1e-3 * (1.4 if (plan.block, plan.side, plan.stage) == (2, HEAD, PAIR) else 1.0)

    run = run_on(SimulatedMachine(spread=0.005, anchor=loaded))

    assert ["product moved by more than 10%"] == run.aside
    assert 12 == len(run.blocks)
    assert "passed" == verdict(run)


def test_sides_that_are_not_treated_alike_make_the_run_void() -> None:
    run = run_on(SimulatedMachine(anchor=lambda plan: 1e-3 * (1.03 if plan.side == HEAD else 1.0)))

    assert "void" == verdict(run)
    assert "took 1.030 times as long beside head" in (run.void or "")


def test_a_base_that_differs_from_itself_makes_the_run_void() -> None:
    machine = SimulatedMachine(spread=0.005)

    def unlike(plan: Planned) -> ProcessResult:
        result = machine.one(plan)
        slower = 1.08 if plan.side == AGAIN else 1.0
        return replace(result, samples_s={case: (s[0] * slower,) for case, s in result.samples_s.items()})

    run = run_blocks(CASES, POLICY, 7, by_process(unlike), SilentWatcher())

    assert "void" == verdict(run)
    assert "base measured against itself differed by a factor of 1.08" in (run.void or "")


def test_a_time_limit_ends_the_run_and_is_told() -> None:
    run = run_on(SimulatedMachine(spread=0.08), time_limit_s=300.0)

    comparison = compared(run)
    assert 12 < len(run.blocks) < 48
    assert any("time limit ended the run" in note for note in comparison.notes)


def test_without_blocks_only_exact_quantities_are_compared() -> None:
    machine = SimulatedMachine()

    run = run_on(machine, replace(POLICY, blocks=()))
    comparison = compared(run)

    assert 2 == len(machine.planned)
    assert ("passed", 20) == (comparison.verdict, comparison.compared_exactly)


def test_an_exact_rise_is_a_regression_whatever_the_clock_says() -> None:
    machine = SimulatedMachine(spread=0.005)

    def more_work(plan: Planned) -> ProcessResult:
        result = machine.one(plan)
        more = {"case-2": {"flop": 101}} if plan.side == HEAD and plan.stage == TRIAL else {}
        return replace(result, counts=result.counts | more)

    run = run_blocks(CASES, POLICY, 7, by_process(more_work), SilentWatcher())

    (rise,) = compared(run).rises
    assert ("case-2", "flop", 100, 101) == (rise.case, rise.quantity, rise.base, rise.head)
    assert "regressed" == verdict(run)


def test_a_budget_of_a_case_is_kept() -> None:
    generous = replace(POLICY, budgets=(Budget("case-3", "latency", 0.2, "it may"),))

    run = run_on(SimulatedMachine(slowdowns={"case-3": 0.10}), generous)

    assert "regressed" not in {decision.status for decision in run.decisions.values()}


def test_an_interrupted_run_goes_on_and_says_what_it_would_have_said(tmp_path: Path) -> None:
    class InterruptedError_(Exception):
        pass

    measured_keys: list[tuple[str, int]] = []

    def measured(store: ProcessStore, stop_after: int | None = None) -> BlocksRun:
        def measure(plan: BlockPlan) -> Block:
            known = store.block(plan)
            if known is None:
                if stop_after is not None and len(store) >= stop_after:
                    raise InterruptedError_
                # The same block would give the same again, whenever it runs.
                known = SimulatedMachine(seed=plan.seed, slowdowns={"case-3": 0.1})(plan)
                measured_keys.append((plan.stage, plan.block))
                store.add(known)
            return known

        return run_blocks(CASES, POLICY, store.described["seed"], measure, SilentWatcher())

    with ProcessStore(tmp_path / "whole", {"a": 1}, 5) as store:
        whole = measured(store)
    all_of_it = list(measured_keys)
    measured_keys.clear()
    with ProcessStore(tmp_path / "run", {"a": 1}, 5) as store, pytest.raises(InterruptedError_):
        measured(store, stop_after=11)
    with ProcessStore(tmp_path / "run", {"a": 1}, 6) as store:
        continued = measured(store)

    assert whole.decisions == continued.decisions
    assert all_of_it == measured_keys


def test_a_void_run_accuses_nobody() -> None:
    slow = {"case-3": 0.5}
    run = run_on(SimulatedMachine(slowdowns=slow, anchor=lambda plan: 1e-3 * (1.03 if plan.side == HEAD else 1.0)))

    assert ("undecided", "the run is void") == (run.decisions["case-3"].status, run.decisions["case-3"].sentence)
    assert "void" == verdict(run)


def test_a_crash_at_head_is_not_hidden_by_a_machine_that_moved() -> None:
    run = run_on(
        SimulatedMachine(
            anchor=lambda plan: 1e-3 * (1.03 if plan.side == HEAD else 1.0),
            failing=lambda plan: {"case-1": "crashed"} if plan.side == HEAD else {},
        )
    )

    assert run.void is not None
    assert "failed" == verdict(run)


def test_a_regression_that_a_restless_machine_cannot_confirm_makes_the_run_void() -> None:
    restless = SimulatedMachine(
        slowdowns={"case-3": 0.5},
        anchor=lambda plan: 1e-3 * (2.0 if (plan.stage, plan.side) == (CONFIRM, HEAD) else 1.0),
    )

    assert "void" == verdict(run_on(restless))


def test_a_case_that_base_loses_in_a_later_block_is_undecided() -> None:
    def later(plan: Planned) -> dict[str, str]:
        return {"case-1": "crashed"} if plan.side == BASE and plan.stage == PAIR and plan.block == 5 else {}

    run = run_on(SimulatedMachine(spread=0.005, failing=later))

    assert ("undecided", "it failed at base: crashed") == (
        run.decisions["case-1"].status,
        run.decisions["case-1"].sentence,
    )
    assert "undecided" == verdict(run)
    assert () == compared(run).only_head


def test_a_case_that_fails_on_both_sides_is_undecided_and_says_why() -> None:
    run = run_on(SimulatedMachine(spread=0.005, failing=lambda plan: {"case-1": "no such layer"}))

    assert "it failed at base and head: no such layer" == run.decisions["case-1"].sentence
    assert "undecided" == verdict(run)


def test_a_time_limit_before_the_first_look_leaves_every_case_undecided() -> None:
    run = run_on(SimulatedMachine(), time_limit_s=5.0)

    assert {"the run ended before its first look"} == {decision.sentence for decision in run.decisions.values()}
    assert "undecided" == verdict(run)


def test_processes_that_end_are_told_as_that_and_not_as_a_machine_that_moved() -> None:
    machine = SimulatedMachine(spread=0.005)

    def ending(plan: Planned) -> ProcessResult:
        result = machine.one(plan)
        return replace(result, broken="crashed: exit code 9") if plan.stage == PAIR and plan.side == HEAD else result

    run = run_blocks(CASES, POLICY, 7, by_process(ending), SilentWatcher())

    assert "a process of head ended (crashed: exit code 9)" in (run.void or "")


def test_many_slower_cases_are_told_in_one_sentence_the_slowest_first() -> None:
    run = run_on(SimulatedMachine(slowdowns=dict.fromkeys(CASES, 0.1) | {"case-7": 0.5}))

    (explained, *_) = compared(run).notes
    assert explained.startswith("The same work, counted exactly, runs slower: case-7 takes 1.5")
    assert explained.endswith("and 17 others.")
