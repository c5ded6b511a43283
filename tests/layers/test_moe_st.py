"""The ST-MoE layer computes its formulas, differentiates them, has nn.Linear's habits, and costs what is promised."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from capratio.cost.operation import OperationCost
from capratio.cost.spec import PASSES
from capratio.errors import InputError
from capratio.inputs.directions import impose_directions
from capratio.layers.moe_st import StableMixture
from capratio.measure.flop_counter import count_operations
from capratio.sweep.references.contract import Parameters
from capratio.sweep.references.moe_st import MoeStReference
from tests.layers.system_checks import (
    TOLERANCES,
    assert_agrees,
    assert_compiles_and_exports,
    assert_habits,
    drawn,
    expected_output,
    redrawn,
)

FORMS: dict[str, dict[str, Any]] = {
    "random": {},
    "threshold": {"second": "threshold"},
    "always": {"second": "always"},
    "top-1": {"top_k": 1},
    "prioritised": {"prioritised": True},
    "top-1-prioritised": {"top_k": 1, "prioritised": True},
    "dense-beside": {"dense_beside": True},
    "multiplicative-bias": {"second": "threshold", "multiplicative_bias": True},
    "everything": {"second": "always", "prioritised": True, "dense_beside": True, "multiplicative_bias": True},
    "dropless": {"second": "always", "capacity_train": 4.0, "capacity_eval": 4.0},
}
# Those that draw nothing, so that two calls are alike.
STEADY = [name for name, options in FORMS.items() if "second" in options or "top_k" in options]


@pytest.fixture(autouse=True)
def _forget_graphs() -> Iterator[None]:
    yield
    torch.compiler.reset()


def dice(seed: int = 3) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def made(form: str, sizes: tuple[int, int] = (9, 5), **options: Any) -> StableMixture:
    """A layer of few slots, so that tokens are dropped in training and outside of it."""
    scarce = {"experts": 4, "hidden": 6, "capacity_train": 0.5, "capacity_eval": 0.8}
    return StableMixture(*sizes, **{**scarce, **FORMS[form], **options})


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("form", FORMS)
def test_outputs_decisions_and_gradients_are_those_of_the_reference(form: str, dtype: torch.dtype) -> None:
    torch.manual_seed(5)
    for training in (True, False):
        layer = redrawn(made(form, dtype=dtype)).train(training)
        for tokens in (0, 1, 7):
            assert_agrees(layer, MoeStReference(), drawn(tokens, 9, dtype=dtype))


@settings(max_examples=40)
@given(
    sizes=st.tuples(st.integers(1, 11), st.integers(1, 7)),
    options=st.fixed_dictionaries(
        {
            "experts": st.integers(2, 6),
            "top_k": st.integers(1, 2),
            "hidden": st.integers(1, 5),
            "second": st.sampled_from(["random", "threshold", "always"]),
            "prioritised": st.booleans(),
            "capacity_eval": st.sampled_from([0.3, 1.0, 1.1, 2.5]),
        }
    ),
    tokens=st.integers(0, 12),
)
def test_a_layer_of_any_size_computes_its_formula(sizes: tuple[int, int], options: dict[str, Any], tokens: int) -> None:
    layer = redrawn(StableMixture(*sizes, **options, dtype=torch.float64)).eval()
    x, reference = drawn(tokens, sizes[0], dtype=torch.float64), MoeStReference()

    outcome = layer.outcome(x, generator=dice())

    parameters = Parameters(layer.state_dict())
    assert reference.wrong_decision(layer.spec, parameters, x, outcome.decisions, 2.3e-16) is None
    assert torch.allclose(expected_output(layer, reference, x, outcome), outcome.out, rtol=0, atol=1e-11)


@pytest.mark.parametrize("form", ["prioritised", "everything", "top-1"])
def test_gradients_pass_gradcheck(form: str) -> None:
    layer = redrawn(made(form, (3, 2), experts=3, hidden=2, dtype=torch.float64))
    x = drawn(5, 3, dtype=torch.float64).requires_grad_()

    def evaluate(x: torch.Tensor, *_: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = layer(x, generator=dice())
        return out

    assert torch.autograd.gradcheck(evaluate, (x, *layer.parameters()))


def test_losses_reach_the_router_and_nothing_else() -> None:
    layer, x = made("random"), drawn(13, 9)

    losses = layer.losses(layer.outcome(x, generator=dice()))
    (losses["z"] + losses["balance"]).backward()  # type: ignore[no-untyped-call]

    assert {"z", "balance"} == losses.keys()
    assert ["router"] == [name for name, parameter in layer.named_parameters() if parameter.grad is not None]


@pytest.mark.parametrize("form", STEADY)
def test_it_has_the_habits_of_a_layer(form: str) -> None:
    assert_habits(lambda device=None: made(form, device=device))


def test_the_same_dice_give_the_same_bits_and_others_do_not() -> None:
    layer, x = redrawn(made("random", capacity_train=2.0)), drawn(50, 9)

    assert torch.equal(layer(x, generator=dice()), layer(x, generator=dice()))
    assert not torch.equal(layer(x, generator=dice()), layer(x, generator=dice(4)))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("form", FORMS)
def test_it_is_stochastic_where_it_draws(form: str, training: bool) -> None:
    layer = made(form).train(training)

    assert (form not in STEADY) == layer.stochastic == ("draw" in layer.outcome(drawn(2, 9)).decisions)


def test_a_batch_reads_its_visited_experts_and_no_others() -> None:
    layer, x = made("random", experts=6, dtype=torch.float64), drawn(2, 9, dtype=torch.float64)
    outcome = layer.outcome(x, generator=dice())
    others = [expert for expert in range(6) if expert not in outcome.decisions["expert"].flatten().tolist()]

    with torch.no_grad():
        layer.weight_in[others] = torch.nan
        layer.weight_out[others] = torch.nan

    assert torch.equal(outcome.out, layer(x, generator=dice()))
    assert 6 - len(others) == layer.visits(outcome.decisions)["experts"]


@pytest.mark.parametrize("top_k", [1, 2])
def test_a_routing_is_imposed_along_its_router(top_k: int) -> None:
    layer = made("always", (64, 5), top_k=top_k, experts=16)
    directions = layer.routing_directions()
    assert directions is not None

    x = impose_directions(drawn(20, 64), directions, layer.choices, "single", 0)

    chosen = layer.outcome(x).decisions["chosen"].sort(1).values
    assert (20, top_k) == tuple(chosen.shape)
    assert 1 == len(chosen.unique(dim=0))  # type: ignore[no-untyped-call]


def test_what_is_not_a_number_stays_so() -> None:
    layer, x = made("random", capacity_train=4.0), drawn(3, 9)
    x[1] = torch.nan

    out = layer(x, generator=dice())

    assert [False, True, False] == out.isnan().any(1).tolist()


@pytest.mark.parametrize("form", ["threshold", "everything", "top-1-prioritised", "dropless"])
def test_the_evaluation_form_compiles_and_exports(form: str) -> None:
    assert_compiles_and_exports(redrawn(made(form)))


def test_a_layer_that_draws_is_one_graph_forward_and_backward() -> None:
    layer = made("random")

    out = torch.compile(layer, fullgraph=True, backend="aot_eager")(drawn(6, 9))
    out.sum().backward()

    assert (6, 5) == tuple(out.shape)
    assert all(parameter.grad is not None for parameter in layer.parameters())


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"top_k": 3}, "top_k=3; it must be 1 or 2"),
        ({"second": "all"}, "second='all'"),
        ({"backend": "fast"}, "backend='fast' is not known"),
        ({"hidden": 2**62}, "it must be at most 2147483647"),
    ],
)
def test_what_cannot_be_built_is_refused(given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        StableMixture(9, 5, **given)


def test_a_wrong_input_is_refused() -> None:
    with pytest.raises(InputError, match="its last dimension must be the layer's in_features=9"):
        made("random")(drawn(2, 8))
    with pytest.raises(InputError, match=r"x is torch\.float64"):
        made("random")(drawn(2, 9, dtype=torch.float64))


def count(layer: StableMixture, tokens: int, pass_: str) -> tuple[OperationCost, OperationCost]:
    """What is promised and what is counted; every call draws with the same dice."""
    layer.train(pass_ == "train")
    x = drawn(tokens, layer.in_features, seed=tokens)
    visits = layer.visits(layer.outcome(x, generator=dice()).decisions)

    def call() -> None:
        with torch.inference_mode(pass_ in ("forward", "decode")):
            if not torch.is_inference_mode_enabled():
                x.requires_grad_()
            out = layer(x, generator=dice())
        if pass_ == "train":
            out.backward(torch.ones_like(out))

    return layer.spec.executed(visits, pass_), count_operations(call, strict=True).cost


def assert_counted_as_promised(layer: StableMixture, tokens: int, pass_: str) -> None:
    promised, counted = count(layer, tokens, pass_)

    assert promised.flop == counted.flop
    assert promised.routing_operations == counted.routing_operations


@pytest.mark.parametrize("pass_", PASSES)
@pytest.mark.parametrize("form", FORMS)
def test_it_executes_what_is_promised(form: str, pass_: str) -> None:
    for tokens in (1,) if pass_ == "decode" else (0, 1, 2, 7):
        assert_counted_as_promised(made(form), tokens, pass_)


@settings(max_examples=60)
@given(
    sizes=st.tuples(st.integers(1, 9), st.integers(1, 7), st.integers(1, 5)),
    form=st.sampled_from(list(FORMS)),
    experts=st.integers(2, 6),
    pass_=st.sampled_from(PASSES),
    tokens=st.integers(0, 12),
)
def test_a_layer_of_any_size_executes_what_is_promised(
    sizes: tuple[int, int, int], form: str, experts: int, pass_: str, tokens: int
) -> None:
    layer = made(form, sizes[:2], hidden=sizes[2], experts=experts)

    assert_counted_as_promised(layer, 1 if pass_ == "decode" else tokens, pass_)


def test_a_layer_that_routes_twice_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = made("random")
    choose = layer._choose
    monkeypatch.setattr(layer, "_choose", lambda logits: (choose(logits), choose(logits))[0])

    with pytest.raises(AssertionError):
        assert_counted_as_promised(layer, 7, "forward")
