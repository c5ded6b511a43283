"""The block policy network obeys its paper's laws: limits, what learns from what, an unbiased policy gradient."""

from itertools import product
from typing import Any

import pytest
import torch
from torch import nn

from capratio.layers import block_policy
from capratio.layers.block_policy import BlockPolicyNetwork, policy_surrogate, update_baseline
from capratio.layers.conditional_layer import Outcome
from capratio.layers.reinforce import Baseline, MeanBaseline, VarianceOptimalBaseline
from tests.layers.block_policies import OPTIONS, built, coins, drawn, policies, set_coins


def dense(layer: BlockPolicyNetwork) -> nn.Sequential:
    """The plain network of the same weights."""
    modules: list[nn.Module] = []
    for weight, bias in zip(layer.weights, layer.biases, strict=True):
        linear = nn.Linear(weight.shape[1], weight.shape[0], dtype=weight.dtype)
        linear.load_state_dict({"weight": weight, "bias": bias})
        modules += [linear, nn.ReLU() if layer.spec.activation == "relu" else nn.Tanh()]
    return nn.Sequential(*modules[:-1])


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_with_probability_one_a_network_is_the_dense_one(options: dict[str, Any]) -> None:
    layer, x = built(**options), drawn(7, 5).requires_grad_()
    set_coins(layer, 1.0, 1.0, 1.0)
    plain, again = dense(layer), x.detach().clone().requires_grad_()

    out = layer(x)
    torch.autograd.backward(out.square().sum())
    torch.autograd.backward(plain(again).square().sum())

    assert torch.allclose(plain(again), out, atol=1e-13)
    assert torch.allclose(again.grad, x.grad, atol=1e-12)  # type: ignore[arg-type]
    of_plain = dict(enumerate(module for module in plain if isinstance(module, nn.Linear)))
    for place, weight in enumerate(layer.weights):
        assert torch.allclose(of_plain[place].weight.grad, weight.grad, atol=1e-12)  # type: ignore[arg-type]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_with_probability_zero_only_the_last_bias_is_left(options: dict[str, Any]) -> None:
    layer, x = built(**options), drawn(7, 5).requires_grad_()
    set_coins(layer, 0.0, 0.0, 0.0)

    out = layer(x)
    torch.autograd.backward(out.sum())

    assert torch.equal(layer.biases[-1].expand(7, 3), out)
    assert x.grad is not None
    assert not x.grad.any()
    assert all(parameter.grad is not None and not parameter.grad.any() for parameter in layer.weights)
    assert 0 == layer.visits(layer.outcome(x).decisions)["live_blocks"]


def test_a_dead_block_is_not_read_and_its_gradients_are_exactly_zero() -> None:
    layer, x = built(hidden_layers=2), drawn(7, 5)
    set_coins(layer, 1.0, 0.0, 1.0)
    expected = layer(x)
    torch.autograd.backward(expected.sum())
    dead = slice(2, 4)
    for weight, rows, columns in ((0, True, False), (1, True, True), (2, False, True)):
        gradient = layer.weights[weight].grad
        assert gradient is not None
        assert not rows or not gradient[dead].any()
        assert not columns or not gradient[:, dead].any()
    assert all(bias.grad is not None and not bias.grad[dead].any() for bias in list(layer.biases)[:2])

    with torch.no_grad():
        layer.weights[0][dead] = layer.weights[1][dead] = layer.biases[0][dead] = layer.biases[1][dead] = torch.nan
        layer.weights[1][:, dead] = layer.weights[2][:, dead] = torch.nan

    assert torch.equal(expected, layer(x))


def test_coins_are_flipped_in_training_and_in_evaluation() -> None:
    layer, x = built(), drawn(7, 5)
    for mode in (layer.train(), layer.eval()):
        assert mode.stochastic
        first, again, other = (mode.outcome(x, generator=coins(seed)).decisions["live"] for seed in (1, 1, 2))
        assert torch.equal(first, again)
        assert not torch.equal(first, other)
        assert torch.equal(layer(x, generator=coins()), layer(x, generator=coins()))


def test_a_token_flips_a_coin_for_each_block_with_its_probability() -> None:
    layer = built()
    set_coins(layer, 0.1, 0.5, 0.9)

    live = layer.outcome(torch.zeros(4000, 5, dtype=torch.float64), generator=coins()).decisions["live"]

    # Four standard errors.
    assert torch.allclose(torch.tensor([0.1, 0.5, 0.9]), live.float().mean(0), atol=0.032)


def test_a_new_policy_has_about_its_rate() -> None:
    layer = BlockPolicyNetwork(64, 8, hidden=64, blocks=16, hidden_layers=2)

    live = layer.outcome(drawn(2000, 64, dtype=torch.float32), generator=coins()).decisions["live"]

    assert pytest.approx(1 / 16, rel=0.35) == float(live[:, 0].float().mean())
    assert pytest.approx(1 / 16, rel=0.35) == float(live[:, 1].float().mean())


def test_a_policy_learns_from_its_losses_alone_and_the_network_from_the_output_alone() -> None:
    layer, x = built(hidden_layers=2), drawn(7, 5).requires_grad_()
    outcome = layer.outcome(x, generator=coins())
    cost = outcome.out.square().sum(1)

    torch.autograd.backward(policy_surrogate(outcome, cost) + sum(layer.losses(outcome).values()))

    assert x.grad is None
    for name, parameter in layer.named_parameters():
        assert name.startswith("policies.") == (parameter.grad is not None)
    assert all(bool(policy.weight.grad.any()) for policy in policies(layer) if policy.weight.grad is not None)


def test_losses_are_those_of_the_papers_by_hand() -> None:
    layer = BlockPolicyNetwork(1, 1, hidden=2, blocks=2, rate=0.25, dtype=torch.float64)
    probability = torch.tensor([[[0.5, 0.1]], [[0.3, 0.3]]], dtype=torch.float64)

    found = layer.losses(Outcome(torch.empty(2, 1), {}, {"logits": probability.logit()}))

    expected = {"batch_rate": 0.2, "example_rate": 0.05, "negative_variance": -0.02}
    assert pytest.approx(expected) == {name: loss.item() for name, loss in found.items()}


# What four coins of a token, two in each of two layers, can be.
MASKS = torch.tensor(list(product((False, True), repeat=4))).view(16, 2, 2)


def forced(layer: BlockPolicyNetwork, x: torch.Tensor, live: torch.Tensor, monkeypatch: pytest.MonkeyPatch) -> Outcome:
    """The outcome under these decisions, bool (N, L, B)."""
    rows = iter(live.unbind(1))
    with monkeypatch.context() as patch:
        patch.setattr(block_policy, "flip_coins", lambda logits, uniform: next(rows))
        return layer.outcome(x)


@pytest.mark.parametrize("kind", [None, MeanBaseline, VarianceOptimalBaseline])
def test_the_policy_gradient_is_unbiased_by_summing_over_all_masks(
    kind: type[Baseline] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer = built(3, 2, hidden=4, blocks=2, hidden_layers=2, activation="tanh")
    x, labels = drawn(2, 3), torch.tensor([0, 1])
    learned = list(layer.policies.parameters())
    baseline = kind() if kind else None
    if baseline is not None:
        other = layer.outcome(drawn(5, 3, seed=4), generator=coins())
        update_baseline(baseline, other, 3 + other.out.detach().square().sum(1))

    def cost(outcome: Outcome, label: torch.Tensor) -> torch.Tensor:
        # Shifted away from 0, where a baseline matters.
        return nn.functional.cross_entropy(outcome.out, label.expand(len(outcome.out)), reduction="none") + 3

    expected_cost = torch.zeros((), dtype=torch.float64)
    mean = [torch.zeros_like(parameter) for parameter in learned]
    for token, label in zip(x.unsqueeze(1), labels, strict=True):
        for mask in MASKS.unsqueeze(1):
            outcome = forced(layer, token, mask, monkeypatch)
            sigma = torch.sigmoid(outcome.kept["logits"])
            chance = torch.where(mask, sigma, 1 - sigma).prod()
            given_cost = cost(outcome, label)
            expected_cost = expected_cost + chance * given_cost.detach()[0] / 2
            estimate = torch.autograd.grad(policy_surrogate(outcome, given_cost, baseline), learned, retain_graph=True)
            for total, part in zip(mean, estimate, strict=True):
                total += chance.detach() * part / 2

    for wanted, found in zip(torch.autograd.grad(expected_cost, learned), mean, strict=True):
        assert wanted.abs().max() > 1e-4
        assert torch.allclose(wanted, found, rtol=0, atol=1e-14)


def test_a_policy_is_trained_to_its_target_rate() -> None:
    layer = built(hidden=16, blocks=8, rate=0.25)
    set_coins(layer, *[0.9] * 4, *[0.05] * 4)
    x, optimizer = drawn(64, 5), torch.optim.SGD(layer.policies.parameters(), lr=0.1)
    for _ in range(300):
        losses = layer.losses(layer.outcome(x, generator=coins()))
        optimizer.zero_grad()
        torch.autograd.backward(losses["batch_rate"] + losses["example_rate"])
        optimizer.step()

    probability = torch.sigmoid(layer.outcome(x, generator=coins()).kept["logits"])

    assert torch.allclose(torch.full((8,), 0.25, dtype=torch.float64), probability.mean((0, 1)), atol=0.03)


def test_reinforce_finds_the_block_that_helps() -> None:
    layer, x = built(hidden=2, blocks=2, rate=0.5), drawn(64, 5)
    set_coins(layer, 0.5, 0.5)
    optimizer, baseline, generator = torch.optim.SGD(layer.policies.parameters(), lr=1.0), MeanBaseline(0.9), coins()
    for _ in range(60):
        outcome = layer.outcome(x, generator=generator)
        cost = 1.0 - outcome.decisions["live"][:, 0, 0].double()
        optimizer.zero_grad()
        torch.autograd.backward(policy_surrogate(outcome, cost, baseline))
        update_baseline(baseline, outcome, cost)
        optimizer.step()

    helps, idle = torch.sigmoid(layer.outcome(x, generator=coins()).kept["logits"]).mean((0, 1)).tolist()

    assert helps > 0.9
    assert 0.3 < idle < 0.7


def test_no_tokens_have_losses_of_zero() -> None:
    layer = built()
    outcome = layer.outcome(drawn(0, 5), generator=coins())

    assert {0.0} == {loss.item() for loss in layer.losses(outcome).values()}
    assert {0} == set(layer.visits(outcome.decisions).counts.values())
