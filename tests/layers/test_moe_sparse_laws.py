"""Limits and identities of noisy and hierarchical gating: who is kept, in which shares, which plain layers result."""

from math import sqrt
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from capratio.layers.hierarchical_gate import HierarchicalGate
from capratio.layers.noisy_top_k import NoisyTopKGate, choose
from capratio.layers.sparsely_gated_mixture import SparselyGatedMixture
from tests.layers.system_checks import drawn, redrawn


def double(*shape: int, seed: int = 0) -> torch.Tensor:
    return drawn(*shape, dtype=torch.float64, seed=seed)


def mixture(**options: Any) -> SparselyGatedMixture:
    return SparselyGatedMixture(5, 3, **{"experts": 8, "hidden": 6, "dtype": torch.float64, **options})


@settings(max_examples=30)
@given(tokens=st.integers(0, 9), experts=st.integers(1, 6), top_k=st.integers(1, 6), training=st.booleans())
def test_no_token_is_dropped(tokens: int, experts: int, top_k: int, training: bool) -> None:
    layer = redrawn(mixture(experts=experts, top_k=min(top_k, experts))).train(training)

    outcome = layer.outcome(double(tokens, 5), generator=torch.Generator().manual_seed(0))

    assert (tokens, min(top_k, experts)) == outcome.decisions["expert"].shape
    assert all(len(set(row)) == len(row) and min(row) >= 0 for row in outcome.decisions["expert"].tolist())
    assert torch.allclose(torch.ones(tokens).double(), outcome.kept["share"].sum(1))


def test_noise_is_drawn_with_the_softplus_of_its_matrix_as_deviation() -> None:
    gate, x = redrawn(mixture(experts=4)).train().gate, double(6, 5)
    assert isinstance(gate, NoisyTopKGate)
    noise = torch.randn(6, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))

    routed = gate(x, torch.Generator().manual_seed(1))

    expected = x @ gate.weight.T + noise * (1 + (x @ gate.noise_weight.T).exp()).log()
    assert torch.equal(noise, routed.decisions["noise"])
    assert torch.allclose(expected, routed.kept["noisy"])
    assert torch.equal(expected.argsort(1, descending=True)[:, :2], routed.expert)


def test_training_begins_with_noise_alone_and_an_equal_load() -> None:
    layer, tokens = mixture(), 4000

    outcome = layer.train().outcome(double(tokens, 5), generator=torch.Generator().manual_seed(1))

    counts = torch.bincount(outcome.decisions["expert"].flatten(), minlength=8)
    # Each token keeps 2 of 8 at random: five deviations of 4000 coins of 1/4.
    assert (counts - tokens / 4).abs().max() < 5 * sqrt(tokens * 0.25 * 0.75)
    assert [False, False] == [bool(parameter.any()) for parameter in layer.gate.parameters()]


def test_equal_logits_go_to_the_lowest_experts_in_equal_shares() -> None:
    routed = mixture(experts=16, top_k=3).eval().gate(double(200, 5), None)

    assert torch.equal(torch.arange(3).expand(200, 3), routed.expert)
    assert torch.equal(torch.full((200, 3), 1 / 3, dtype=torch.float64), routed.share)
    assert [[1, 2]] == choose(torch.tensor([[0.0, 7.0, 7.0, 7.0]]), 2).entry.tolist()


def test_one_expert_is_a_plain_network() -> None:
    layer, x = redrawn(mixture(experts=1, top_k=1)), double(7, 5)

    assert torch.allclose(torch.relu(x @ layer.weight_in[0].T) @ layer.weight_out[0].T, layer.eval()(x))


def test_with_every_expert_kept_it_is_the_dense_mixture() -> None:
    layer, x = redrawn(mixture(top_k=8)).eval(), double(7, 5)
    hidden = torch.relu(torch.einsum("ehp,np->neh", layer.weight_in, x))
    outputs = torch.einsum("eqh,neh->neq", layer.weight_out, hidden)

    assert torch.allclose(((x @ layer.gate.weight.T).softmax(1).unsqueeze(2) * outputs).sum(1), layer(x))


def as_one_group(flat: SparselyGatedMixture) -> SparselyGatedMixture:
    """The hierarchical layer of one group with the weights of a flat one."""
    layer = mixture(gating="hierarchical", top_k=flat.spec.top_k)
    state = flat.state_dict()
    gate = {f"gate.{name}": state[f"gate.{name}"].unsqueeze(0) for name in ("weight", "noise_weight")}
    first = {f"gate.first.{name}": double(1, 5, seed=8) for name in ("weight", "noise_weight")}
    layer.load_state_dict({**state, **gate, **first})
    return layer


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("top_k", [1, 3, 8])
def test_a_hierarchy_of_one_group_is_the_flat_mixture(top_k: int, training: bool) -> None:
    flat, x = redrawn(mixture(top_k=top_k)).train(training), double(11, 5)
    layer = as_one_group(flat).train(training)

    expected, outcome = (one.outcome(x, generator=torch.Generator().manual_seed(4)) for one in (flat, layer))
    torch.autograd.backward([expected.out.sum(), outcome.out.sum()])

    assert torch.equal(expected.out, outcome.out)
    assert torch.equal(expected.decisions["expert"], outcome.decisions["expert"])
    for part in ("weight_in", "gate.weight"):
        of_flat, of_group = flat.get_parameter(part).grad, layer.get_parameter(part).grad
        assert of_flat is not None
        assert of_group is not None
        assert torch.allclose(of_flat, of_group.view(of_flat.shape), atol=1e-14)
    losses = layer.losses(outcome)
    for name, loss in flat.losses(expected).items():
        assert pytest.approx(float(loss.detach())) == float(losses[name].detach())


def test_a_share_is_that_of_the_group_times_that_in_the_group() -> None:
    layer, x = redrawn(mixture(gating="hierarchical", experts=12, groups=4)).eval(), double(6, 5)
    gate = layer.gate
    assert isinstance(gate, HierarchicalGate)

    routed = gate(x, None)

    for n in range(6):
        top = (gate.first.weight @ x[n]).topk(2)
        for place, (group, of_group) in enumerate(zip(top.indices, top.values.softmax(0), strict=True)):
            own = (gate.weight[group] @ x[n]).topk(2)
            assert (group * 3 + own.indices).tolist() == routed.expert[n, 2 * place : 2 * place + 2].tolist()
            assert torch.allclose(of_group * own.values.softmax(0), routed.share[n, 2 * place : 2 * place + 2])
    assert torch.allclose(torch.ones(6).double(), routed.share.sum(1))
