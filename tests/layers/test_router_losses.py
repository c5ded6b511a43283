"""The losses of a router: by hand, at their extremes, and with the gradients that they should have."""

from math import log

import pytest
import torch

from capratio.layers.router_losses import balance_loss, z_loss


def logits_of(probabilities: list[list[float]]) -> torch.Tensor:
    """Logits whose softmax is given, and whose logsumexp is 0."""
    return torch.tensor(probabilities, dtype=torch.float64).log()


def test_z_loss_by_hand() -> None:
    # log(3 + 1) and log(1 + 1).
    logits = torch.tensor([[3.0, 1.0], [1.0, 1.0]], dtype=torch.float64).log()

    assert pytest.approx((log(4) ** 2 + log(2) ** 2) / 2) == float(z_loss(logits))
    assert pytest.approx(0.0) == float(z_loss(logits_of([[0.3, 0.7]])))


def test_balance_loss_by_hand() -> None:
    logits = logits_of([[0.5, 0.3, 0.2], [0.6, 0.3, 0.1]])

    # Both tokens go to expert 0, f = (1, 0, 0); P_0 = 0.55.
    assert pytest.approx(3 * 0.55) == float(balance_loss(logits, torch.tensor([0, 0])))


def test_shares_of_tokens_are_as_exact_as_the_logits() -> None:
    logits = logits_of([[0.5, 0.3, 0.2]])

    # Thirds, which float32 would round: f = (2/3, 1/3, 0).
    loss = balance_loss(logits.expand(3, 3), torch.tensor([0, 1, 0]))

    assert pytest.approx(3 * (2 / 3 * 0.5 + 1 / 3 * 0.3), rel=1e-14) == float(loss)


def test_an_even_spread_has_balance_one_and_one_expert_has_their_number() -> None:
    even = torch.zeros(8, 4, dtype=torch.float64)
    alone = torch.tensor([[50.0, 0.0, 0.0, 0.0]] * 8, dtype=torch.float64)

    assert pytest.approx(1.0) == float(balance_loss(even, torch.arange(8) % 4))
    assert pytest.approx(4.0) == float(balance_loss(alone, torch.zeros(8, dtype=torch.int64)))


def test_no_tokens_have_no_loss() -> None:
    logits = torch.zeros(0, 4, requires_grad=True)

    total = z_loss(logits) + balance_loss(logits, torch.zeros(0, dtype=torch.int64))
    total.backward()  # type: ignore[no-untyped-call]

    assert 0.0 == total.item()
    assert (0, 4) == tuple(logits.grad.shape)  # type: ignore[union-attr]


def test_gradients_are_those_of_the_formulas() -> None:
    logits = torch.randn(5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    first = logits.argmax(1)

    assert torch.autograd.gradcheck(z_loss, (logits,))
    assert torch.autograd.gradcheck(lambda values: balance_loss(values, first), (logits,))


def test_less_balance_loss_is_less_load_on_the_fullest_expert() -> None:
    logits = torch.tensor([[2.0, 0.0], [1.0, 0.0], [0.0, 1.0]], dtype=torch.float64, requires_grad=True)

    balance_loss(logits, logits.argmax(1)).backward()  # type: ignore[no-untyped-call]

    # Expert 0 has two of three tokens: a step against the gradient lowers every token's logit for it.
    assert (logits.grad[:, 0] > 0).all()  # type: ignore[index]
