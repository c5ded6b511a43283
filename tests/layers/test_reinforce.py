"""REINFORCE is unbiased with a baseline and without, by summing over all coins; a baseline lowers its variance."""

from itertools import product

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from capratio.errors import InputError
from capratio.layers.reinforce import (
    Baseline,
    MeanBaseline,
    VarianceOptimalBaseline,
    log_probability,
    reinforce_surrogate,
)

BASELINES = (None, MeanBaseline, VarianceOptimalBaseline)
# All outcomes of three coins, and a cost for each, far from 0, so that a baseline has something to take away.
COINS = torch.tensor(list(product((False, True), repeat=3)))
COSTS = torch.tensor([7.0, 4.0, 9.0, 5.5, 6.0, 3.0, 8.0, 2.0], dtype=torch.float64)
LOGITS = torch.tensor([-1.2, 0.3, 2.0], dtype=torch.float64)
# Probabilities that a batch of 32 tokens can have exactly.
QUARTERS = torch.tensor([1 / 4, 1 / 2, 3 / 4], dtype=torch.float64).logit()


def seen(kind: type[Baseline] | None, decay: float = 0.9) -> Baseline | None:
    """A baseline that has seen two batches of other costs and coins."""
    if kind is None:
        return None
    baseline, generator = kind(decay), torch.Generator().manual_seed(4)
    for _ in range(2):
        live = torch.rand(5, 3, generator=generator) < 0.4
        baseline.update(LOGITS.expand(5, 3), live, torch.rand(5, generator=generator) * 10)
    return baseline


def chances(logits: torch.Tensor) -> torch.Tensor:
    """The probability of each of ``COINS``."""
    sigma = torch.sigmoid(logits)
    return torch.where(COINS, sigma, 1 - sigma).prod(1)


def estimate(logits: torch.Tensor, live: torch.Tensor, cost: torch.Tensor, baseline: Baseline | None) -> torch.Tensor:
    """The estimate of the gradient to the logits that one token gives: (3,)."""
    given = logits.clone().view(1, 3).requires_grad_()
    torch.autograd.backward(reinforce_surrogate(given, live.view(1, 3), cost.view(1), baseline))
    assert given.grad is not None
    return given.grad[0]


def estimates(logits: torch.Tensor, baseline: Baseline | None) -> torch.Tensor:
    """The estimates that ``COINS`` give: (8, 3)."""
    return torch.stack([estimate(logits, *outcome, baseline) for outcome in zip(COINS, COSTS, strict=True)])


@pytest.mark.parametrize("kind", BASELINES)
def test_the_mean_estimate_over_all_coins_is_the_gradient_of_the_expected_cost(kind: type[Baseline] | None) -> None:
    logits = LOGITS.clone().requires_grad_()
    (expected,) = torch.autograd.grad((chances(logits) * COSTS).sum(), logits)

    mean = (chances(LOGITS)[:, None] * estimates(LOGITS, seen(kind))).sum(0)

    assert torch.allclose(expected, mean, rtol=0, atol=1e-14)


def test_a_baseline_that_depends_on_the_coins_is_biased() -> None:
    fitted = MeanBaseline(0.0)
    for live, cost in zip(COINS, COSTS, strict=True):
        fitted.update(LOGITS.view(1, 3), live.view(1, 3), cost.view(1))

        # It takes the whole cost away, and the estimate with it.
        assert not estimate(LOGITS, live, cost, fitted).any()


def of_all_coins(kind: type[Baseline]) -> Baseline:
    """A baseline that has seen one batch in which outcomes are as frequent as ``QUARTERS`` make them probable."""
    live = torch.tensor([[a == 0, b == 0, c > 0] for a in range(4) for b in range(2) for c in range(4)])
    place = (live.long() * torch.tensor([4, 2, 1])).sum(1)
    baseline = kind(0.0)
    baseline.update(QUARTERS.expand(32, 3), live, COSTS[place])
    return baseline


def variances(baseline: Baseline | None) -> torch.Tensor:
    """Of the estimates of ``QUARTERS``, for each logit."""
    rows, weight = estimates(QUARTERS, baseline), chances(QUARTERS)[:, None]
    mean = (weight * rows).sum(0)
    return (weight * (rows - mean).square()).sum(0)


def test_a_baseline_lowers_the_variance_and_the_optimal_one_most() -> None:
    plain, of_mean = variances(None), variances(of_all_coins(MeanBaseline))
    least = variances(of_all_coins(VarianceOptimalBaseline))

    assert (of_mean < plain / 3).all()
    assert (least <= of_mean + 1e-12).all()
    assert least.sum() < of_mean.sum() - 1e-3


@pytest.mark.parametrize("moved", [-0.1, 0.1])
def test_no_other_constant_leaves_less_variance_than_the_optimal_one(
    monkeypatch: pytest.MonkeyPatch, moved: float
) -> None:
    optimal = of_all_coins(VarianceOptimalBaseline)
    least, value = variances(optimal), optimal.value()
    monkeypatch.setattr(optimal, "value", lambda: value + moved)

    assert (least < variances(optimal)).all()


def test_the_optimal_baseline_by_hand() -> None:
    # One coin of σ = 1/4: live once with cost 8, dead three times with cost 4. (u - σ)² is 9/16, and 1/16 three times.
    live, logits = torch.tensor([[True], [False], [False], [False]]), torch.full((4, 1), 0.25).double().logit()
    cost = torch.tensor([8.0, 4.0, 4.0, 4.0], dtype=torch.float64)
    optimal, mean = VarianceOptimalBaseline(), MeanBaseline()

    optimal.update(logits, live, cost)
    mean.update(logits, live, cost)

    assert pytest.approx((9 * 8 + 3 * 4) / 12) == float(optimal.value())
    assert pytest.approx(5.0) == float(mean.value())


def test_both_running_means_decay() -> None:
    baseline, logits = MeanBaseline(0.75), torch.zeros(2, 3)
    live = torch.zeros(2, 3, dtype=torch.bool)

    baseline.update(logits, live, torch.tensor([1.0, 3.0]))
    assert pytest.approx(2.0) == float(baseline.value())
    baseline.update(logits, live, torch.tensor([9.0, 11.0]))

    # Weights 0.75·0.25 and 0.25 of means 2 and 10.
    assert pytest.approx((0.75 * 0.25 * 2 + 0.25 * 10) / (0.75 * 0.25 + 0.25)) == float(baseline.value())
    before = float(baseline.value())
    baseline.update(logits[:0], live[:0], torch.zeros(0))
    assert before == float(baseline.value())


def test_a_baseline_is_0_before_it_saw_a_cost_and_where_a_coin_is_certain() -> None:
    optimal = VarianceOptimalBaseline()
    assert 0.0 == optimal.value()

    optimal.update(torch.tensor([[800.0, 0.0]]).double(), torch.tensor([[True, True]]), torch.tensor([3.0]))

    assert [0.0, 3.0] == torch.as_tensor(optimal.value()).tolist()


@given(logit=st.floats(-20, 20), live=st.booleans())
def test_the_logarithm_of_a_coin_is_that_of_its_probability(logit: float, live: bool) -> None:
    sigma = torch.tensor(logit, dtype=torch.float64).sigmoid()
    formula = torch.log(sigma * live + (1 - sigma) * (not live))

    # 1 - σ is formed by subtraction in the formula, and loses what it is small against.
    found = log_probability(torch.tensor(logit, dtype=torch.float64), torch.tensor(live))
    assert torch.allclose(formula, found, rtol=1e-6, atol=1e-12)


def test_certain_coins_have_finite_logarithms_and_gradients() -> None:
    logits = torch.tensor([[300.0, 300.0, -300.0, -300.0]], requires_grad=True)
    live = torch.tensor([[True, False, True, False]])

    found = log_probability(logits, live)
    torch.autograd.backward(found.sum())

    assert [[0.0, -300.0, -300.0, 0.0]] == found.tolist()
    # u - σ.
    assert [[0.0, -1.0, 1.0, 0.0]] == logits.grad.tolist()  # type: ignore[union-attr]


def test_a_cost_of_another_shape_is_refused() -> None:
    live = torch.zeros(4, 3, dtype=torch.bool)

    with pytest.raises(InputError, match=r"cost has shape \(\) for 4 tokens; give one cost for each token"):
        reinforce_surrogate(torch.zeros(4, 3), live, torch.tensor(1.0))
    with pytest.raises(InputError, match=r"a baseline was given decay=1\.0; give a number from 0 to below 1"):
        MeanBaseline(1.0)


def test_no_tokens_have_no_gradient() -> None:
    logits = torch.zeros(0, 3, requires_grad=True)

    torch.autograd.backward(reinforce_surrogate(logits, torch.zeros(0, 3, dtype=torch.bool), torch.zeros(0)))

    assert (0, 3) == tuple(logits.grad.shape)  # type: ignore[union-attr]
