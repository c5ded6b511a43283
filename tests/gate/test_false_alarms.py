"""How often a run accuses an equal commit, and how a look that spends too much would be seen."""

from dataclasses import replace

import pytest

from capratio.gate import blocks_run
from capratio.gate.blocks_run import run_blocks
from capratio.gate.looks import Look, plan_looks
from capratio.gate.policy import Policy
from tests.gate.simulated import SilentWatcher, SimulatedMachine

CASES = [f"case-{number}" for number in range(10)]
# At a budget of 0 two equal commits lie on the edge of what is forbidden, where most false alarms are.
AT_THE_EDGE = replace(Policy(), latency=0.0, blocks=tuple(range(8, 33, 2)))


def alarms(runs: int, policy: Policy) -> int:
    made = [
        run_blocks(CASES, policy, seed, SimulatedMachine(seed, spread=0.01), SilentWatcher()) for seed in range(runs)
    ]
    assert all(run.void is None for run in made)
    return sum(any(decision.status == "regressed" for decision in run.decisions.values()) for run in made)


@pytest.fixture
def unconfirmed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks_run, "confirmed", lambda first, again: first)


@pytest.mark.usefixtures("unconfirmed")
def test_false_alarms_stay_under_alpha_where_nothing_is_allowed_nothing_changed_and_nothing_is_confirmed() -> None:
    # 100 runs at 5 %: 10 or more would come by chance once in 35 times of a gate that spends all of alpha.
    assert alarms(100, AT_THE_EDGE) <= 9


@pytest.mark.usefixtures("unconfirmed")
def test_spending_all_of_alpha_at_every_look_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks_run, "plan_looks", lambda blocks, alpha: [Look(count, alpha) for count in blocks])

    assert alarms(100, AT_THE_EDGE) > 9


def test_the_looks_spend_alpha_by_halves_and_no_more() -> None:
    looks = plan_looks((12, 24, 48), 0.05)

    assert [Look(12, 0.025), Look(24, 0.0125), Look(48, 0.0125)] == looks
    assert pytest.approx(0.05) == sum(look.alpha for look in plan_looks((3, 5, 9, 11, 13), 0.05))
    assert [] == plan_looks((), 0.05)
