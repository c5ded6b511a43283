"""The losses that balance a mixture: by hand, by loops, and the load against how often experts are really kept."""

from math import erf, sqrt
from typing import Any

import pytest
import torch

from capratio.layers.balance_losses import gate_sums, hierarchical_load, keep_probability, load, squared_variation
from capratio.layers.conditional_layer import Outcome
from capratio.layers.sparsely_gated_mixture import SparselyGatedMixture
from tests.layers.system_checks import drawn, redrawn


def double(*shape: int, seed: int = 0) -> torch.Tensor:
    return drawn(*shape, dtype=torch.float64, seed=seed)


def mixture(**options: Any) -> SparselyGatedMixture:
    return SparselyGatedMixture(5, 3, **{"experts": 8, "hidden": 6, "dtype": torch.float64, **options})


def trained_outcome(layer: SparselyGatedMixture, x: torch.Tensor, seed: int = 1) -> Outcome:
    return layer.train().outcome(x, generator=torch.Generator().manual_seed(seed))


def test_the_probability_of_the_load_is_how_often_an_entry_is_kept_when_its_own_noise_alone_is_drawn_again() -> None:
    draws, top_k = 40_000, 2
    logits, scale = double(3, 6, seed=1), double(3, 6, seed=2).abs() + 0.3
    noisy = logits + double(3, 6, seed=3) * scale
    again = double(draws, seed=4)

    promised = keep_probability(logits, noisy, scale, top_k)

    for n in range(3):
        for entry in range(6):
            rows = noisy[n].repeat(draws, 1)
            rows[:, entry] = logits[n, entry] + again * scale[n, entry]
            kept = (rows.argsort(1, descending=True)[:, :top_k] == entry).any(1).double().mean()
            # Five standard deviations of a mean of so many draws.
            assert abs(float(kept) - float(promised[n, entry])) < 5 * 0.5 / sqrt(draws)


def test_a_probability_by_hand() -> None:
    # Of H = (3, 1, 2) two are kept. The 2nd largest without 3 is 1, without 1 it is 2, without 2 it is 1.
    noisy = torch.tensor([[3.0, 1.0, 2.0]], dtype=torch.float64)
    logits = torch.tensor([[2.0, 1.0, 1.0]], dtype=torch.float64)
    scale = torch.tensor([[0.5, 2.0, 1.0]], dtype=torch.float64)

    expected = [0.5 * (1 + erf(z / sqrt(2))) for z in ((2 - 1) / 0.5, (1 - 2) / 2, (1 - 1) / 1)]

    assert pytest.approx(expected) == keep_probability(logits, noisy, scale, 2)[0].tolist()
    assert pytest.approx(expected) == load(logits, noisy, scale, 2).tolist()


def test_where_all_entries_are_kept_the_load_is_the_number_of_tokens() -> None:
    assert torch.equal(torch.full((4,), 7.0), load(*(torch.ones(7, 4),) * 3, top_k=4))


def test_the_squared_variation_by_hand() -> None:
    # Mean 2, population variance 1.
    assert 0.25 == float(squared_variation(torch.tensor([1.0, 3.0])))
    assert 0.0 == float(squared_variation(torch.tensor([5.0, 5.0])))
    # One of n takes all: mean 1/n, variance (n - 1)/n².
    assert pytest.approx(7.0) == float(squared_variation(torch.tensor([1.0] + 7 * [0.0])))
    assert 0.0 == float(squared_variation(torch.zeros(3)))


def test_importance_is_the_sum_of_gates() -> None:
    outcome = trained_outcome(redrawn(mixture()), double(9, 5))
    expert, share = outcome.decisions["expert"], outcome.kept["share"].detach()
    expected = [0.0] * 8
    for n in range(9):
        for place in range(2):
            expected[int(expert[n, place])] += float(share[n, place])

    assert pytest.approx(expected) == gate_sums(expert, share, 8).tolist()
    assert pytest.approx(9.0) == float(gate_sums(expert, share, 8).sum())


@pytest.mark.parametrize(
    "options", [{}, {"gating": "hierarchical", "experts": 12, "groups": 3}], ids=["noisy", "hierarchical"]
)
@pytest.mark.parametrize("name", ["importance", "load"])
def test_each_loss_teaches_both_matrices_of_the_gate_and_no_expert(name: str, options: dict[str, Any]) -> None:
    layer = redrawn(mixture(**options))

    loss = layer.losses(trained_outcome(layer, double(20, 5)))[name]
    torch.autograd.backward(loss)

    assert 0 == loss.dim()
    for part, parameter in layer.named_parameters():
        learns = parameter.grad is not None and bool((parameter.grad != 0).any())
        assert part.startswith("gate.") == learns, part


@pytest.mark.parametrize(
    "options",
    [{"top_k": 2}, {"gating": "hierarchical", "groups": 2, "top_k": 2}, {"gating": "balanced"}],
    ids=["noisy", "hierarchical", "balanced"],
)
def test_gradients_of_losses_are_those_of_finite_differences(options: dict[str, Any]) -> None:
    layer = redrawn(mixture(experts=6, hidden=2, **options))

    def losses(x: torch.Tensor, *_: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(layer.losses(trained_outcome(layer, x)).values())

    assert torch.autograd.gradcheck(losses, (double(6, 5).requires_grad_(), *layer.gate.parameters()))


def test_evaluation_draws_no_noise_and_has_no_load() -> None:
    layer = mixture()

    assert ["importance"] == list(layer.losses(layer.eval().outcome(double(4, 5))))
    assert ["importance", "load"] == list(layer.losses(trained_outcome(layer, double(4, 5))))


@pytest.mark.parametrize("options", [{}, {"gating": "hierarchical", "groups": 4}, {"gating": "balanced"}])
def test_no_tokens_have_losses_of_zero(options: dict[str, Any]) -> None:
    layer = mixture(**options)

    for loss in layer.losses(trained_outcome(layer, double(0, 5))).values():
        assert 0.0 == float(loss.detach())


def test_losses_are_what_descent_balances_by() -> None:
    layer, x = redrawn(mixture(dtype=torch.float32)), drawn(256, 5)
    optimizer = torch.optim.Adam(layer.gate.parameters(), 0.02)
    counts = []
    for step in range(80):
        outcome = trained_outcome(layer, x, step)
        counts.append(torch.bincount(outcome.decisions["expert"].flatten(), minlength=8).double())
        optimizer.zero_grad()
        torch.autograd.backward(list(layer.losses(outcome).values()))
        optimizer.step()

    first, last = (squared_variation(torch.stack(some).sum(0)).item() for some in (counts[:5], counts[-5:]))
    assert last < 0.1 * first


def test_the_load_of_the_hierarchy_by_loops() -> None:
    # Four tokens that keep 2 of 4 groups of 3; nobody keeps group 3.
    group = torch.tensor([[0, 1], [1, 0], [2, 1], [1, 2]])
    of_group, within = double(4, 4, seed=1).sigmoid(), double(4, 2, 3, seed=2).sigmoid()
    expected = []
    for i in range(4):
        own = [(n, place) for n in range(4) for place in range(2) if group[n, place] == i]
        for j in range(3):
            total = sum(float(within[n, place, j]) for n, place in own)
            expected.append(float(of_group[:, i].sum()) * total / len(own) if own else 0.0)

    assert pytest.approx(expected) == hierarchical_load(of_group, within, group).tolist()
    assert [0.0, 0.0, 0.0] == expected[9:]


def test_noise_that_underflows_where_scores_tie_leaves_the_load_finite() -> None:
    tied, silent = torch.zeros(2, 4), torch.zeros(2, 4)

    probability = keep_probability(tied, tied, silent, 2)

    # Each score equals the one that it would have to exceed.
    assert [0.5] * 8 == probability.flatten().tolist()
