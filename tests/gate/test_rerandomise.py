"""Gates that might have been: a sound gate keeps its promise in them, and one that was broken on purpose does not."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest

from capratio.gate import blocks_run, decision
from capratio.gate.block_plan import BASE, CONFIRM, HEAD, PAIR, TRIAL, BlockPlan, plan_block
from capratio.gate.looks import Look
from capratio.gate.policy import Policy
from capratio.gate.proportion import Proportion
from capratio.gate.rerandomise import _Recorded, medians_only, rerandomise
from capratio.gate.validity import Block
from tests.gate.simulated import SimulatedMachine

CASES = [f"case-{number}" for number in range(6)]
# At a budget of 0 two equal commits lie on the edge of what is forbidden, where most false alarms are.
AT_THE_EDGE = Policy(latency=0.0, blocks=(8, 16, 24))
GATES = 120


def blocks_of(machine: SimulatedMachine, count: int) -> list[Block]:
    blocks = [machine(plan_block(block, CASES, 1)) for block in range(count)]
    return [{side: block[side] for side in (BASE, HEAD)} for block in blocks]


@pytest.fixture(scope="module")
def noise() -> list[Block]:
    """Blocks of two equal commits."""
    return blocks_of(SimulatedMachine(seed=3), 120)


def alarms(blocks: list[Block]) -> Proportion:
    return Proportion(sum(bool(rerandomise(blocks, AT_THE_EDGE, seed).regressed) for seed in range(GATES)), GATES)


def test_a_sound_gate_keeps_its_promise_without_a_confirmation(
    noise: list[Block], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks_run, "_confirm", lambda *given: None)

    assert alarms(noise).share <= AT_THE_EDGE.alpha


def uncorrected(p_values: Mapping[str, float], others: int = 0) -> dict[str, float]:
    """No correction for the number of cases."""
    return dict(p_values)


def spent_at_every_look(blocks: tuple[int, ...], alpha: float) -> list[Look]:
    """A look after every block from the first on, each with all of alpha."""
    return [Look(count, alpha) for count in range(blocks[0], blocks[-1] + 1)]


@pytest.mark.parametrize(
    "module, name, broken",
    [(decision, "holm", uncorrected), (blocks_run, "plan_looks", spent_at_every_look)],
    ids=["no correction", "alpha spent at every look"],
)
def test_a_gate_that_was_broken_on_purpose_is_seen_to_alarm_too_often(
    noise: list[Block], monkeypatch: pytest.MonkeyPatch, module: object, name: str, broken: Callable[..., object]
) -> None:
    monkeypatch.setattr(blocks_run, "_confirm", lambda *given: None)
    monkeypatch.setattr(module, name, broken)

    assert alarms(noise).interval[0] > AT_THE_EDGE.alpha


def test_a_planted_slowdown_is_found_in_every_gate_and_nothing_else() -> None:
    blocks = medians_only(blocks_of(SimulatedMachine(seed=4, spread=0.01), 60))

    gates = [rerandomise(blocks, Policy(), seed, 0.10) for seed in range(50)]

    assert [] == [gate for gate in gates if not gate.found or gate.regressed != (gate.slowed,) or gate.void]
    assert len({gate.slowed for gate in gates}) > 1


def test_a_case_that_is_really_slower_is_swapped_away_with_its_sides() -> None:
    blocks = blocks_of(SimulatedMachine(seed=5, slowdowns={"case-1": 0.10}), 60)

    gates = [rerandomise(blocks, Policy(), seed) for seed in range(30)]

    # The label of a side is drawn in each block, so that head is the slower one in half of them.
    assert [] == [gate for gate in gates if gate.regressed]


def test_without_a_swap_a_case_that_is_really_slower_would_alarm_in_every_gate(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class NeverSwapped(_Recorded):
        def __init__(self, *given: object) -> None:
            super().__init__(*given)  # type: ignore[arg-type]
            self._swapped = dict.fromkeys(range(1000), False)

    monkeypatch.setattr("capratio.gate.rerandomise._Recorded", NeverSwapped)
    blocks = blocks_of(SimulatedMachine(seed=5, slowdowns={"case-1": 0.10}), 60)

    assert [("case-1",)] * 10 == [rerandomise(blocks, Policy(), seed).regressed for seed in range(10)]


def test_the_same_seed_deals_the_same_gate(noise: list[Block]) -> None:
    assert rerandomise(noise, Policy(), 7, 0.03) == rerandomise(noise, Policy(), 7, 0.03)


def test_a_machine_that_moves_makes_the_gate_void(noise: list[Block]) -> None:
    moved = [
        {
            side: replace(result, anchors=({"product_s": 1e-3 if side == BASE else 2e-3},))
            for side, result in each.items()
        }
        for each in noise
    ]

    assert ((), True) == ((gate := rerandomise(moved, Policy(), 1)).regressed, gate.void)


def test_a_process_is_dealt_with_its_median_scaled_only_on_heads_side(noise: list[Block]) -> None:
    deal = _Recorded(medians_only(noise), 3, 48, 1, {"case-2": 0.5})

    dealt = deal(BlockPlan(PAIR, 0, ((BASE, HEAD),), tuple(CASES), 9))

    recorded = sorted(noise[3][side].latency_s("case-2") for side in (BASE, HEAD))
    assert recorded == pytest.approx(sorted([dealt[BASE].latency_s("case-2"), dealt[HEAD].latency_s("case-2") / 1.5]))
    assert {noise[3][side].latency_s("case-0") for side in (BASE, HEAD)} == {
        dealt[side].latency_s("case-0") for side in (BASE, HEAD)
    }


def test_a_trial_is_not_slowed_down_and_a_confirmation_has_blocks_of_its_own(noise: list[Block]) -> None:
    deal = _Recorded(noise, 0, 48, 1, {"case-2": 0.5})

    trial = deal(BlockPlan(TRIAL, 0, ((BASE, HEAD),), ("case-2",), 9))[HEAD]
    confirmed = deal(BlockPlan(CONFIRM, 0, ((BASE, HEAD),), ("case-0",), 9))[BASE]

    assert trial.latency_s("case-2") in {noise[0][side].latency_s("case-2") for side in (BASE, HEAD)}
    assert confirmed.latency_s("case-0") in {noise[48][side].latency_s("case-0") for side in (BASE, HEAD)}
