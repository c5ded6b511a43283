"""What a selftest says of a gate whose machine is simulated, and that it sees a gate which was broken on purpose."""

from dataclasses import replace

import pytest

from capratio.gate import selftest as module
from capratio.gate.block_plan import BASE, HEAD
from capratio.gate.blocks_run import run_blocks
from capratio.gate.comparison import Rise, exact_rises
from capratio.gate.policy import Policy
from capratio.gate.process_result import ProcessResult
from capratio.gate.proportion import Proportion
from capratio.gate.selftest import (
    CURVE,
    Selftest,
    SelftestRun,
    WholeRun,
    full_blocks,
    raised_by_one,
    selftest,
    slowed_cases,
    whole_run,
)
from capratio.gate.selftest_table import HEADINGS, RUN_HEADINGS, Row, run_cells, selftest_rows, share_text
from capratio.gate.selftest_words import headline, method, outcome, spread_words, standing
from capratio.gate.sides import Side
from tests.gate.simulated import Planned, SilentWatcher, SimulatedMachine, by_process

CASES = [f"case-{number}" for number in range(6)]
POLICY = Policy()
RESTLESS = SimulatedMachine(anchor=lambda plan: 1e-3 if plan.side == BASE else 2e-3)


def made(
    seed: int, slowdown: float = 0.0, spread: float = 0.01, machine: SimulatedMachine | None = None
) -> SelftestRun:
    """A whole run on a machine that is not there."""
    slowdowns = dict.fromkeys(slowed_cases(CASES), slowdown) if slowdown else {}
    machine = machine or SimulatedMachine(seed, spread, slowdowns)
    return SelftestRun(run_blocks(CASES, POLICY, seed, machine, SilentWatcher()), slowdowns)


def summed_up(runs: dict[str, SelftestRun], gates: int = 15) -> Selftest:
    return selftest(runs, POLICY, lambda message: None, gates)


@pytest.fixture(scope="module")
def result() -> Selftest:
    """Ten runs without a slowdown, and one for each size."""
    runs = {f"equal-{seed}": made(seed) for seed in range(1, 11)}
    return summed_up(runs | {f"slow-{size}-1": made(20 + size, size / 100) for size in (10, 5, 2)})


def row(result: Selftest, beginning: str) -> Row:
    return next(each for each in selftest_rows(result) if each.measured.startswith(beginning))


def test_equal_commits_raise_no_alarm_and_every_size_is_told(result: Selftest) -> None:
    assert Proportion(0, 10) == result.whole_alarms
    assert Proportion(0, 15) == result.alarms
    assert Proportion(0, 15) == result.void
    assert CURVE == tuple(point.slowdown for point in result.curve)
    assert all(point.found.tries == 15 for point in result.curve)


def test_what_is_found_grows_with_the_slowdown_and_its_blocks_fall(result: Selftest) -> None:
    shares = {point.slowdown: point.found.share for point in result.curve}
    blocks = {point.slowdown: point.blocks for point in result.curve}

    assert (0.0, 1.0, 1.0) == (shares[0.01], shares[0.10], shares[0.15])
    assert shares[0.02] < shares[0.05]
    assert blocks[0.02] > blocks[0.10]


def test_whole_runs_find_what_was_slowed_down_inside_their_calls(result: Selftest) -> None:
    assert Proportion(3, 3) == result.whole_found(0.10)
    assert Proportion(3, 3) == result.whole_found(0.05)
    assert result.whole_found(0.02).share < 1.0
    assert Proportion(0, 0) == result.whole_found(0.07)


def test_the_spread_is_that_of_the_machine(result: Selftest) -> None:
    assert set(CASES) == set(result.spreads)
    assert all(0.006 < spread < 0.014 for spread in result.spreads.values())
    assert "Processes of one commit spread by" in spread_words(result)


def test_a_whole_run_counts_false_alarms_apart_from_what_was_found() -> None:
    run = whole_run("slow", made(1, 0.10))
    accused = whole_run("accused", replace(made(1, 0.10), slowdowns={"case-0": 0.10}))

    assert (3, 3, 0, 6, 6) == (run.slowed, run.found, run.false, run.decided, run.cases)
    assert (1, 1, 2) == (accused.slowed, accused.found, accused.false)


def test_a_void_run_takes_part_in_nothing_and_is_counted() -> None:
    told = summed_up({"equal-1": made(1), "equal-2": made(2, machine=RESTLESS)}, gates=3)

    assert [None, True] == [run.void if run.void is None else True for run in told.runs]
    assert Proportion(0, 1) == told.whole_alarms
    assert "1 of 2" in row(told, "void runs").seen


def test_of_void_runs_alone_nothing_can_be_said() -> None:
    told = summed_up({"equal-1": made(1, machine=RESTLESS)})

    assert () == told.curve
    assert Proportion(0, 0) == told.alarms
    assert "not measured" == row(told, "one case slower by 10 %").seen
    assert outcome(told) is None
    assert "No run without a slowdown has two blocks" in spread_words(told)


def test_a_case_that_one_run_lost_is_dealt_out_of_none() -> None:
    lossy = SimulatedMachine(2, failing=lambda plan: {"case-2": "out of memory"} if plan.block > 3 else {})
    runs = [made(1).run, made(2, machine=lossy).run]

    blocks = full_blocks(runs)

    left = [case for case in CASES if case != "case-2"]
    assert 2 * POLICY.blocks[0] == len(blocks)
    assert all(left == list(block[side].samples_s) for block in blocks for side in (BASE, HEAD))


def test_blocks_after_the_first_decided_case_are_left_out() -> None:
    noisy = SimulatedMachine(3, 0.002)

    def measure(plan: Planned) -> ProcessResult:
        result = noisy.one(plan)
        wide = {
            case: (values[0] * (1 + 0.1 * (plan.block % 2) * (plan.side == HEAD)),)
            for case, values in result.samples_s.items()
            if case == "case-1"
        }
        return replace(result, samples_s=result.samples_s | wide)

    run = run_blocks(CASES, POLICY, 3, by_process(measure), SilentWatcher())

    assert len(run.blocks) > POLICY.blocks[0]
    assert POLICY.blocks[0] == len(full_blocks([run]))


def test_every_integer_raised_by_one_is_found() -> None:
    assert Proportion(6, 6) == raised_by_one([made(1).run], POLICY)


def test_a_comparison_that_ignores_a_quantity_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def blind(base: Side, head: Side, both: list[str], policy: Policy) -> tuple[tuple[Rise, ...], int]:
        rises, compared = exact_rises(base, head, both, policy)
        return tuple(rise for rise in rises if rise.case != "case-4"), compared

    monkeypatch.setattr(module, "exact_rises", blind)

    assert Proportion(5, 6) == raised_by_one([made(1).run], POLICY)


def test_a_comparison_that_accuses_another_case_too_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def hasty(base: Side, head: Side, both: list[str], policy: Policy) -> tuple[tuple[Rise, ...], int]:
        rises, compared = exact_rises(base, head, both, policy)
        return (*rises, Rise("case-5", "flop", 1, 2, 0.0)), compared

    monkeypatch.setattr(module, "exact_rises", hasty)

    assert 0 == raised_by_one([made(1).run], POLICY).count


def test_the_table_says_how_a_slowdown_was_put_in_and_what_is_conditional(result: Selftest) -> None:
    words = [each.measured for each in selftest_rows(result)]

    assert 3 == sum("recorded samples scaled, in gates dealt out (conditional)" in each for each in words)
    assert 3 == sum("inside the timed call, in whole runs" in each for each in words)
    assert all(len(HEADINGS) == len(each.cells()) for each in selftest_rows(result))
    assert all(len(RUN_HEADINGS) == len(run_cells(run)) for run in result.runs)


def test_all_goals_reached_is_said_in_words(result: Selftest) -> None:
    assert outcome(result) is True
    assert "The gate reaches all of its 6 goals." == headline(result)
    (reached,) = standing(result)
    assert reached.startswith("Reached: no false alarm in whole runs; ")


@pytest.mark.parametrize(
    "alarms, curve_found, said",
    [
        (Proportion(11, 1000), 1.0, "false alarms in at most 1 % of gates dealt out"),
        (Proportion(10, 1000), 0.94, "95 % of slowdowns of 5 % found"),
    ],
)
def test_a_goal_that_is_missed_is_named(result: Selftest, alarms: Proportion, curve_found: float, said: str) -> None:
    curve = tuple(
        replace(point, found=Proportion(round(1000 * curve_found), 1000)) if point.slowdown == 0.05 else point
        for point in result.curve
    )

    missed = replace(result, alarms=alarms, curve=curve)

    assert outcome(missed) is False
    assert "The gate reaches 5 of its 6 goals." == headline(missed)
    assert f"Not reached: {said}." in standing(missed)


def test_fewer_runs_than_the_goal_asks_for_reach_nothing_and_one_alarm_misses_it(result: Selftest) -> None:
    few = replace(result, runs=result.runs[:9])
    alarmed = replace(result, runs=(replace(result.runs[0], false=1), *result.runs[1:9]))

    assert row(few, "whole runs").reached is None
    assert outcome(few) is None
    assert row(alarmed, "whole runs").reached is False


@pytest.mark.parametrize(
    "took_s, spread, reached",
    [(600.0, 0.01, True), (601.0, 0.01, False), (1800.0, 0.03, True), (1801.0, 0.03, False), (60.0, 0.031, None)],
)
def test_the_time_is_held_against_the_spread(result: Selftest, took_s: float, spread: float, reached: object) -> None:
    def timed(run: WholeRun) -> WholeRun:
        return replace(run, took_s=took_s, spread=spread)

    told = replace(result, runs=tuple(map(timed, result.runs)))

    assert reached is row(told, "time of a whole gate").reached


def test_what_was_done_names_blocks_seeds_and_the_condition(result: Selftest) -> None:
    said = " ".join(method(result, POLICY))

    for words in ("12, 24, 48 blocks", "alpha = 0.05", "budget of a latency is 2 %", "seeds 0 to 14", "conditional"):
        assert words in said


def test_a_share_stands_with_its_exact_interval() -> None:
    assert "0 of 1,000, 0 % [0 %, 0.368 %]" == share_text(Proportion(0, 1000))
    assert "not measured" == share_text(Proportion(0, 0))
