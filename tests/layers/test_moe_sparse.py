"""The sparsely-gated mixture against its float64 reference: outputs, choices, gradients, counts, habits, refusals."""

from typing import Any

import pytest
import torch
from torch.autograd import gradcheck
from torch.func import functional_call

from capratio.errors import InputError
from capratio.kernels.expert_feedforward import expert_feedforward
from capratio.layers import sparsely_gated_mixture
from capratio.layers.balanced_gate import BalancedGate
from capratio.layers.sparsely_gated_mixture import SparselyGatedMixture
from capratio.layers.systems_table import SYSTEM_CLASSES
from capratio.sweep.references.contract import Parameters
from capratio.sweep.references.moe_sparse import MoeSparseReference
from capratio.sweep.references.table import REFERENCES
from tests.layers.system_checks import (
    assert_agrees,
    assert_close,
    assert_compiles_and_exports,
    assert_counts_as_promised,
    assert_habits,
    drawn,
    expected_output,
    redrawn,
)

REFERENCE = MoeSparseReference()
OPTIONS: dict[str, dict[str, Any]] = {
    "noisy": {},
    "noisy-one": {"top_k": 1},
    "noisy-all": {"top_k": 8},
    "one-group": {"gating": "hierarchical"},
    "two-groups": {"gating": "hierarchical", "groups": 2, "top_k": 3},
    "four-groups": {"gating": "hierarchical", "groups": 4},
    "groups-of-one": {"gating": "hierarchical", "groups": 8, "top_k": 1},
    "balanced": {"gating": "balanced"},
    "balanced-all": {"gating": "balanced", "top_k": 8},
}
GATINGS = ("noisy", "four-groups", "balanced")


def build(name: str, p: int = 5, q: int = 3, **more: Any) -> SparselyGatedMixture:
    return SparselyGatedMixture(p, q, **{"experts": 8, "hidden": 6, **OPTIONS[name], **more})


def ready(name: str, training: bool = False, **more: Any) -> SparselyGatedMixture:
    """The layer with every parameter drawn at random, thresholds above 0."""
    layer = redrawn(build(name, **more)).train(training)
    if isinstance(layer.gate, BalancedGate):
        with torch.no_grad():
            layer.gate.threshold.abs_().mul_(0.3)
    return layer


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", OPTIONS)
def test_output_choices_and_gradients_are_those_of_the_formulas(name: str, training: bool) -> None:
    torch.manual_seed(3)
    for tokens in (0, 1, 9):
        assert_agrees(ready(name, training, dtype=torch.float64), REFERENCE, drawn(tokens, 5, dtype=torch.float64))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", GATINGS)
def test_other_dtypes_agree_within_rounding(name: str, dtype: torch.dtype) -> None:
    torch.manual_seed(4)
    for training in (False, True):
        assert_agrees(ready(name, training, dtype=dtype), REFERENCE, drawn(7, 5, dtype=dtype))


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("gating", GATINGS)
def test_gradients_of_output_and_losses_equal_finite_differences(gating: str, training: bool) -> None:
    layer = ready(gating, training, p=3, q=2, experts=4, hidden=3, top_k=1, dtype=torch.float64)
    names, values = zip(*layer.named_parameters(), strict=True)

    def all_of_it(x: torch.Tensor, *given: torch.Tensor) -> tuple[torch.Tensor, ...]:
        named = {f"layer.{name}": value for name, value in zip(names, given, strict=True)}
        found: tuple[torch.Tensor, ...] = functional_call(_WithLosses(layer), named, (x,))
        return found

    assert gradcheck(
        all_of_it, (drawn(4, 3, dtype=torch.float64).requires_grad_(), *values), check_undefined_grad=False
    )


class _WithLosses(torch.nn.Module):
    """A layer that returns its losses beside its output, with the same noise each time."""

    def __init__(self, layer: SparselyGatedMixture) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        outcome = self.layer.outcome(x, generator=torch.Generator().manual_seed(2))
        return outcome.out, *self.layer.losses(outcome).values()


@pytest.mark.parametrize("name", OPTIONS)
def test_it_executes_what_is_promised(name: str) -> None:
    assert_counts_as_promised(ready(name))


@pytest.mark.parametrize("name", OPTIONS)
def test_a_batch_reads_what_is_promised_and_nothing_else(name: str) -> None:
    layer = ready(name, dtype=torch.float64)
    x = drawn(2, 5, dtype=torch.float64)
    outcome = layer.outcome(x)
    visits = layer.visits(outcome.decisions)
    experts = torch.unique(outcome.decisions["expert"])
    read = {"weight_in": experts[experts >= 0], "weight_out": experts[experts >= 0]}
    if "group" in outcome.decisions:
        read["gate.weight"] = torch.unique(outcome.decisions["group"])
    touched = 0
    with torch.no_grad():
        for part, parameter in layer.named_parameters():
            keep = torch.zeros(len(parameter), dtype=torch.bool)
            keep[read.get(part, slice(None))] = "noise" not in part
            parameter[~keep] = torch.nan
            touched += int(keep.sum()) * parameter[0].numel()

    assert torch.equal(outcome.out, layer(x))
    assert touched == layer.spec.touched_parameters(visits)


@pytest.mark.parametrize("name", GATINGS)
def test_habits(name: str) -> None:
    def make(**more: Any) -> SparselyGatedMixture:
        return build(name, **more).eval()

    assert_habits(make)


@pytest.mark.parametrize("name", GATINGS)
def test_evaluation_compiles_and_exports(name: str) -> None:
    assert_compiles_and_exports(ready(name))


@pytest.mark.parametrize("name", ["noisy", "four-groups"])
def test_noise_comes_from_the_generator_and_in_training_alone(name: str) -> None:
    layer, x = ready(name, training=True), drawn(30, 5)
    generator = torch.Generator().manual_seed(5)

    first, same, other = (layer(x, generator=torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    state = generator.get_state()
    layer.eval()(x, generator=generator)

    assert torch.equal(first, same)
    assert not torch.equal(first, other)
    assert torch.equal(state, generator.get_state())
    assert (True, False) == (layer.train().stochastic, layer.eval().stochastic)


def test_the_balanced_gate_draws_nothing() -> None:
    layer = build("balanced").train()

    assert not layer.stochastic
    assert torch.equal(layer(drawn(6, 5)), layer(drawn(6, 5)))


def test_a_routing_is_imposed_by_the_matrix_of_the_noisy_gate_alone() -> None:
    layer = ready("noisy")

    assert layer.routing_directions() is not None
    assert torch.equal(layer.gate.weight, layer.routing_directions())  # type: ignore[arg-type]
    assert 2 == layer.choices
    assert None is build("balanced").routing_directions() is build("four-groups").routing_directions()


def test_the_layer_and_its_reference_are_in_the_tables() -> None:
    assert SparselyGatedMixture is SYSTEM_CLASSES["moe-sparse"]
    assert isinstance(REFERENCES["moe-sparse"], MoeSparseReference)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", ["noisy", "two-groups", "four-groups", "balanced"])
def test_a_choice_of_another_expert_is_caught(name: str, training: bool) -> None:
    torch.manual_seed(6)
    layer, x = ready(name, training), drawn(9, 5)
    decisions = layer.outcome(x).decisions
    parameters, exact = Parameters(layer.state_dict()), x.double()
    wrong = decisions["expert"].clone()
    wrong[4] = torch.where(wrong[4] >= 0, (wrong[4] + 1) % 8, wrong[4])

    said = [
        REFERENCE.wrong_decision(layer.spec, parameters, exact, {**decisions, "expert": expert}, 1e-7)
        for expert in (decisions["expert"], wrong)
    ]

    assert said[0] is None
    assert "expert" in str(said[1])


def test_what_is_wrong_with_a_choice_is_said() -> None:
    layer, x = ready("noisy"), drawn(3, 5)
    parameters, exact = Parameters(layer.state_dict()), x.double()
    lowest = (exact @ layer.gate.weight.detach().double().T).argsort(1)[:, :2]
    groups = ready("four-groups")

    def said(expert: torch.Tensor) -> str | None:
        return REFERENCE.wrong_decision(layer.spec, parameters, exact, {"expert": expert}, 1e-7)

    assert f"token 0 goes to expert {int(lowest[0].min())}, whose score is not among the 2 highest" == said(lowest)
    assert "token 0 goes to one expert twice" == said(torch.zeros_like(lowest))
    assert "token 0 goes to expert -1, of 8" == said(torch.full_like(lowest, -1))
    assert "(3, 1) experts were chosen for 3 tokens that keep 2" == said(lowest[:, :1])
    decisions = groups.outcome(x).decisions
    state = Parameters(groups.state_dict())
    turned = {**decisions, "group": (decisions["group"] + 1) % 4}
    assert "group" in str(REFERENCE.wrong_decision(groups.spec, state, exact, turned, 1e-7))


def test_what_is_wrong_with_a_balance_is_said() -> None:
    layer, x = ready("balanced", training=True), drawn(8, 5)
    parameters, exact = Parameters(layer.state_dict()), x.double()
    decisions = layer.outcome(x).decisions

    def said(expert: torch.Tensor) -> str | None:
        return REFERENCE.wrong_decision(layer.spec, parameters, exact, {**decisions, "expert": expert}, 1e-7)

    assert "expert 0 keeps 8 tokens of 8; it must keep 2" == said(torch.zeros_like(decisions["expert"][:, :1]))
    assert "token 0 goes to experts [0, 0], which are not distinct ones of 8" == said(
        torch.zeros(8, 2, dtype=torch.int64)
    )
    best_first = torch.softmax(exact @ layer.gate.weight.detach().double().T, 1).argsort(0)
    rows = torch.full((8, 8), -1)
    rows.scatter_(0, best_first[:2], torch.arange(8).expand(2, 8))
    assert "its score says otherwise: an expert keeps the 2 best of the batch" in str(said(rows))


@pytest.mark.parametrize("name", GATINGS)
def test_an_expert_that_is_not_the_chosen_one_gives_a_wrong_output(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def turned(x: Any, weight_in: Any, weight_out: Any, expert: torch.Tensor, *rest: Any) -> torch.Tensor:
        return expert_feedforward(x, weight_in, weight_out, torch.where(expert >= 0, (expert + 1) % 8, expert), *rest)

    monkeypatch.setattr(sparsely_gated_mixture, "expert_feedforward", turned)
    layer, x = ready(name), drawn(9, 5)
    outcome = layer.outcome(x)

    with pytest.raises(AssertionError):
        assert_close(expected_output(layer, REFERENCE, x, outcome), outcome.out)


def test_refusals_name_what_was_given() -> None:
    with pytest.raises(InputError, match="top_k=9 for 8 experts; give at most 8"):
        build("noisy", top_k=9)
    with pytest.raises(InputError, match="backend='fast' is not known"):
        build("noisy", backend="fast")
    with pytest.raises(InputError, match="in_features=5"):
        build("noisy")(drawn(2, 4))
    with pytest.raises(InputError, match="convert one of them"):
        build("noisy")(drawn(2, 5, dtype=torch.float64))


def test_ids_are_refused_by_a_layer_that_does_not_look_up_by_them() -> None:
    layer = SparselyGatedMixture(4, 4, experts=2, hidden=3)

    with pytest.raises(InputError, match=r"ids=\[0, 1\] was given to moe-sparse; give a torch.Tensor"):
        layer(torch.zeros(2, 4), ids=[0, 1])
    with pytest.raises(InputError, match=r"generator=5 was given to moe-sparse; give a torch.Generator"):
        layer(torch.zeros(2, 4), generator=5)
    with pytest.raises(InputError, match="ids were given to moe-sparse, which does not look up by them"):
        layer(torch.randn(2, 4), ids=torch.zeros(2, dtype=torch.int64))
