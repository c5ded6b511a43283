"""Decisions: each status at its edge, the correction for many cases, and a detectable slowdown that is detected."""

import math

import numpy as np
import pytest

from capratio.gate import decision
from capratio.gate.decision import Question, decide, detectable, holm
from capratio.gate.rank_inference import paired, unpaired

# Twelve pairs that differ a little around nothing.
NOISE = [(place - 5.5) * 1e-4 for place in range(12)]


def asked(shift: float, budget: float = 0.02, case: str = "a") -> Question:
    return Question(case, budget, paired([shift + noise for noise in NOISE]))


@pytest.mark.parametrize(
    "ratio, status",
    [(1.1, "regressed"), (1.021, "regressed"), (1.0, "unchanged"), (1.018, "unchanged"), (0.9, "improved")],
)
def test_a_case_is_told_by_where_its_interval_lies(ratio: float, status: str) -> None:
    (told,) = decide([asked(math.log(ratio))], 0.05)

    assert status == told.status
    assert told.ratio is not None
    assert pytest.approx(ratio, rel=1e-3) == told.ratio
    assert told.low is not None
    assert told.high is not None
    assert told.low <= told.ratio <= told.high


def test_an_interval_across_the_budget_is_undecided_and_says_what_would_be_found() -> None:
    wide = Question("a", 0.02, paired([0.02 + 100 * noise for noise in NOISE]))

    (told,) = decide([wide], 0.05)

    assert "undecided" == told.status
    assert told.detectable is not None
    assert told.detectable > 0.02
    assert f"a slowdown of {told.detectable:.1%} would be found in four runs of five" == told.sentence


def test_a_larger_budget_forgives() -> None:
    (told,) = decide([asked(math.log(1.1), budget=0.15)], 0.05)

    assert "unchanged" == told.status


def test_the_correction_of_holm_by_hand() -> None:
    # Times 3, 2 and 1 in rising order, never falling, never above 1.
    assert pytest.approx({"a": 0.03, "b": 0.06, "c": 0.06}) == holm({"c": 0.05, "a": 0.01, "b": 0.03})
    assert pytest.approx({"a": 1.0, "b": 1.0}) == holm({"a": 0.6, "b": 0.9})


def test_six_against_six_twice_as_slow_is_regressed_alone_and_among_twenty() -> None:
    slow = Question(
        "slow", 0.02, unpaired([1e-3 * place for place in range(6)], [0.7 + 1e-3 * place for place in range(6)])
    )
    quiet = [Question(f"quiet {n}", 0.02, unpaired(NOISE[:6], NOISE[:6])) for n in range(19)]

    assert "regressed" == decide([slow], 0.05)[0].status
    assert "regressed" == decide([*quiet, slow], 0.05)[-1].status


def test_more_cases_ask_for_more() -> None:
    # Five pairs, all slower: 1 in 32, enough alone, and not among twenty.
    five = Question("a", 0.02, paired([0.1, 0.11, 0.12, 0.13, 0.14]))
    others = [asked(0.0, case=f"other {n}") for n in range(19)]

    assert "regressed" == decide([five], 0.05)[0].status
    (told, *_) = decide([five, *others], 0.05)
    assert "undecided" == told.status
    assert math.inf == told.detectable
    assert "so few processes find no slowdown among 20 cases" == told.sentence


def test_without_an_inference_the_reason_is_told() -> None:
    (told,) = decide([Question("a", 0.02, None, "no process identity")], 0.05)

    assert ("undecided", "no process identity", None) == (told.status, told.sentence, told.ratio)


def test_false_alarms_over_many_quiet_runs_stay_under_alpha() -> None:
    rng = np.random.default_rng(7)
    alarms = 0
    for _ in range(300):
        # At the budget itself, the worst that is still allowed.
        questions = [
            Question(str(n), 0.02, paired((math.log(1.02) + rng.normal(0, 0.02, 12)).tolist())) for n in range(5)
        ]
        alarms += any(told.status == "regressed" for told in decide(questions, 0.05))

    # 300 runs at 5 %: 15, and 26 are beyond three standard deviations.
    assert alarms <= 26


def test_without_the_correction_false_alarms_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decision, "holm", lambda p_values, others: dict(p_values))

    with pytest.raises(AssertionError):
        test_false_alarms_over_many_quiet_runs_stay_under_alpha()


@pytest.mark.parametrize("pairs", [10, 20])
def test_a_detectable_slowdown_is_found_in_four_runs_of_five(pairs: int) -> None:
    rng = np.random.default_rng(11)
    spread, found, alpha = 0.03, 0, 0.05 / 4
    slowdowns = [detectable(paired(rng.normal(0, spread, pairs).tolist()), 0.02, alpha) for _ in range(200)]
    slowdown = math.log1p(float(np.median(slowdowns)))
    for _ in range(400):
        found += paired(rng.normal(slowdown, spread, pairs).tolist()).p_above(math.log(1.02)) <= alpha

    assert 0.7 <= found / 400 <= 0.9
