"""Rate losses are those of the paper, by hand, and each pulls to the rate in its own way."""

import pytest
import torch

from capratio.layers.rate_losses import batch_rate, example_rate, negative_variance

# Two tokens, one policy, two blocks.
PROBABILITY = torch.tensor([[[0.5, 0.1]], [[0.3, 0.3]]], dtype=torch.float64)


def test_rate_losses_by_hand() -> None:
    # Blocks live for 0.4 and 0.2 of the batch, tokens keep 0.3 and 0.3; a block's probabilities are 0.1 off their mean.
    assert pytest.approx(0.15 + 0.05) == float(batch_rate(PROBABILITY, 0.25))
    assert pytest.approx(0.05) == float(example_rate(PROBABILITY, 0.25))
    assert pytest.approx(-(0.01 + 0.01)) == float(negative_variance(PROBABILITY))


def test_rate_losses_of_policies_are_summed() -> None:
    for loss in (lambda p: batch_rate(p, 0.25), lambda p: example_rate(p, 0.25), negative_variance):
        assert pytest.approx(2 * float(loss(PROBABILITY))) == float(loss(PROBABILITY.repeat(1, 2, 1)))
        assert 0.0 == float(loss(PROBABILITY[:0]))


def test_only_decisions_that_differ_between_tokens_have_a_variance_and_it_is_rewarded() -> None:
    alike = torch.full((4, 1, 2), 0.3, dtype=torch.float64)
    apart = torch.tensor([0.9, 0.1, 0.9, 0.1], dtype=torch.float64).view(4, 1, 1).expand(4, 1, 2)

    assert 0.0 == pytest.approx(float(negative_variance(alike)), abs=1e-15)
    assert float(negative_variance(apart)) < float(negative_variance(alike))
    assert 0.0 == float(negative_variance(apart[:1]))


def test_each_loss_pulls_to_the_rate_in_its_own_way() -> None:
    on_and_off = torch.tensor([[[1.0, 0.0]], [[0.0, 1.0]]], dtype=torch.float64)
    always = torch.tensor([[[1.0, 0.0]], [[1.0, 0.0]]], dtype=torch.float64)

    whole = torch.tensor([[[1.0, 1.0]], [[0.0, 0.0]]], dtype=torch.float64)

    # Half of the blocks for each token, in both; half of the batch for each block only where they take turns.
    assert (0.0, 0.0) == (float(example_rate(on_and_off, 0.5)), float(batch_rate(on_and_off, 0.5)))
    assert (0.0, 1.0) == (float(example_rate(always, 0.5)), float(batch_rate(always, 0.5)))
    # A token that keeps too many blocks does not make up for one that keeps too few.
    assert (0.5, 0.0) == (float(example_rate(whole, 0.5)), float(batch_rate(whole, 0.5)))


def test_gradients_of_rate_losses_are_those_of_finite_differences() -> None:
    generator = torch.Generator().manual_seed(1)
    probability = torch.rand(5, 2, 3, generator=generator, dtype=torch.float64).requires_grad_()

    for loss in (lambda p: batch_rate(p, 0.25), lambda p: example_rate(p, 0.25), negative_variance):
        assert torch.autograd.gradcheck(loss, (probability,))
