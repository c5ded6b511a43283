"""Strictly balanced gating: equal numbers of tokens in training, and thresholds that learn to give them alone."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from capratio.layers.balanced_gate import BalancedGate
from capratio.layers.sparsely_gated_mixture import SparselyGatedMixture
from tests.layers.system_checks import drawn, redrawn


def double(*shape: int, seed: int = 0) -> torch.Tensor:
    return drawn(*shape, dtype=torch.float64, seed=seed)


def mixture(**options: Any) -> tuple[SparselyGatedMixture, BalancedGate]:
    """A balanced layer in training mode with parameters drawn at random, and its gate."""
    sizes = {"experts": 8, "hidden": 6, "dtype": torch.float64}
    layer = redrawn(SparselyGatedMixture(5, 3, gating="balanced", **{**sizes, **options})).train()
    assert isinstance(layer.gate, BalancedGate)
    return layer, layer.gate


def loss_of(layer: SparselyGatedMixture, x: torch.Tensor) -> torch.Tensor:
    losses = layer.losses(layer.outcome(x))
    assert ["batchwise"] == list(losses)
    return losses["batchwise"]


def kept_counts(layer: SparselyGatedMixture, x: torch.Tensor) -> list[int]:
    """How many tokens each of the experts keeps."""
    expert = layer.outcome(x).decisions["expert"]
    return torch.bincount(expert[expert >= 0], minlength=layer.spec.experts).tolist()


@settings(max_examples=30)
@given(batches=st.integers(1, 4), experts=st.sampled_from([1, 2, 3, 6]), top_k=st.integers(1, 6))
def test_every_expert_keeps_the_same_number_of_tokens(batches: int, experts: int, top_k: int) -> None:
    kept, tokens = min(top_k, experts), batches * experts
    layer, gate = mixture(experts=experts, top_k=kept)

    counts = kept_counts(layer, double(tokens, 5, seed=batches))

    assert [kept * batches] * experts == counts
    assert kept * batches == gate.tokens_of_expert(tokens)


def test_a_batch_that_cannot_be_shared_out_is_rounded_up() -> None:
    layer, _ = mixture()

    # 2 · 5 / 8 tokens an expert, and 2 · 1 / 8.
    assert [2] * 8 == kept_counts(layer, double(5, 5))
    assert [1] * 8 == kept_counts(layer, double(1, 5))
    assert [0] * 8 == kept_counts(layer, double(0, 5))


def test_scores_of_the_kept_experts_are_scaled_to_one_and_a_token_without_any_gives_zero() -> None:
    layer, gate = mixture(top_k=1)
    x = double(16, 5)
    scores = (x @ gate.weight.T).softmax(1)
    best = scores.argsort(0, descending=True)[:2]

    outcome = layer.outcome(x)

    for n in range(16):
        kept = [expert for expert in range(8) if n in best[:, expert]]
        expert = outcome.decisions["expert"][n]
        assert sorted(kept) == sorted(expert[expert >= 0].tolist())
        expected = torch.zeros(3, dtype=torch.float64)
        for e in kept:
            network = layer.weight_out[e] @ torch.relu(layer.weight_in[e] @ x[n])
            expected = expected + scores[n, e] / scores[n, kept].sum() * network
        assert torch.allclose(expected, outcome.out[n])
    assert (outcome.decisions["expert"] < 0).all(1).any()


def test_the_loss_of_the_thresholds_by_loops() -> None:
    layer, gate = mixture()
    x, thresholds = double(12, 5), torch.linspace(0, 0.4, 8, dtype=torch.float64)
    with torch.no_grad():
        gate.threshold.copy_(thresholds)
    scores = (x @ gate.weight.detach().T).softmax(1)
    best = scores.argsort(0, descending=True)[:3]

    expected = 0.0
    for n in range(12):
        for e in range(8):
            above = float(scores[n, e] - thresholds[e])
            expected += (int(above > 0) - int(n in best[:, e])) * above

    assert pytest.approx(expected) == loss_of(layer, x).item()
    assert pytest.approx(expected) == loss_of(layer.eval(), x).item()


def test_the_loss_is_zero_where_thresholds_keep_what_the_batch_keeps_and_more_elsewhere() -> None:
    layer, gate = mixture()
    x = double(12, 5)
    ordered = (x @ gate.weight.T).softmax(1).sort(0, descending=True).values
    with torch.no_grad():
        gate.threshold.copy_((ordered[2] + ordered[3]) / 2)

    batch, alone = layer.train()(x), layer.eval()(x)

    assert torch.allclose(batch, alone)
    assert 0.0 == loss_of(layer, x).item()
    for step in (0.1, -0.1):
        with torch.no_grad():
            gate.threshold[3] += step
        assert loss_of(layer, x).item() > 0
        with torch.no_grad():
            gate.threshold[3] -= step


def test_thresholds_that_learn_by_the_loss_keep_as_many_tokens_as_the_batch() -> None:
    layer, gate = mixture()
    x = double(400, 5)
    optimizer = torch.optim.SGD([gate.threshold], 2e-4)
    for _ in range(300):
        optimizer.zero_grad()
        torch.autograd.backward(loss_of(layer, x))
        optimizer.step()

    # Each expert's best 2 · 400 / 8 tokens.
    assert all(abs(count - 100) <= 5 for count in kept_counts(layer.eval(), x))


def test_thresholds_begin_where_a_token_is_kept_by_about_k_experts() -> None:
    gate = BalancedGate(256, 16, 2).eval()
    with torch.no_grad():
        gate.weight.uniform_(-1 / 16, 1 / 16, generator=torch.Generator().manual_seed(1))

    expert = gate(drawn(2000, 256), None).expert

    assert 1.7 < float((expert >= 0).sum()) / 2000 < 2.3
    assert [0.0] * 3 == BalancedGate(4, 3, 3).threshold.tolist()
