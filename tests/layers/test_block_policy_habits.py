"""The block policy network keeps the habits of modules, and executes what is promised."""

import pickle
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest
import torch

from capratio.cost.operation import OperationCost
from capratio.cost.spec import PASSES
from capratio.cost.systems.block_policy import BlockPolicySpec
from capratio.errors import InputError
from capratio.layers.block_policy import BlockPolicyNetwork, policy_surrogate
from capratio.measure.flop_counter import count_operations
from tests.layers.block_policies import OPTIONS, built, coins, drawn, set_coins


@pytest.mark.parametrize("leading", [(), (4,), (2, 3), (0,), (3, 0)])
def test_any_leading_shape_is_kept(leading: tuple[int, ...]) -> None:
    layer, x = built(), drawn(*leading, 5)

    out = layer(x, generator=coins())

    assert (*leading, 3) == tuple(out.shape)
    assert torch.equal(layer(x.reshape(-1, 5), generator=coins()), out.reshape(-1, 3))


def test_a_layer_keeps_the_habits_of_modules() -> None:
    layer, x = built(hidden_layers=2, dtype=torch.float32), drawn(6, 5, dtype=torch.float32)
    expected, other = layer(x, generator=coins()), built(hidden_layers=2, dtype=torch.float32)
    other.reset_parameters()
    assert not torch.equal(expected, other(x, generator=coins()))
    meta = built(hidden_layers=2, dtype=torch.float32, device="meta").to_empty(device="cpu")
    for copy in (other, meta):
        copy.load_state_dict(layer.state_dict())

    for same in (other, meta, deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert torch.equal(expected, same(x, generator=coins()))
    assert (6, 3) == tuple(built(device="meta")(drawn(6, 5).to("meta")).shape)
    assert layer.spec.parameters == sum(parameter.numel() for parameter in layer.parameters())
    assert "in_features=5, out_features=3, hidden=6, blocks=3, hidden_layers=2, rate=0.5" in repr(layer)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.bfloat16 == layer(x.bfloat16(), generator=coins()).dtype


def test_what_makes_no_network_is_refused() -> None:
    with pytest.raises(InputError, match="give a number of blocks that divides the hidden units"):
        BlockPolicyNetwork(5, 3, hidden=7, blocks=3)
    with pytest.raises(InputError, match="its last dimension must be the layer's in_features=5"):
        built()(drawn(2, 4))
    with pytest.raises(InputError, match=r"x is torch\.float32 and the layer's weights are torch\.float64"):
        built()(drawn(2, 5, dtype=torch.float32))
    layer = built()
    with pytest.raises(InputError, match="give one cost for each token"):
        policy_surrogate(layer.outcome(drawn(4, 5)), torch.zeros(3))


@pytest.fixture
def _fresh_compiler() -> Iterator[None]:
    yield
    torch.compiler.reset()


@pytest.mark.usefixtures("_fresh_compiler")
def test_the_evaluation_form_compiles_and_exports_in_one_graph() -> None:
    layer, x = built(hidden_layers=2, dtype=torch.float32).eval(), drawn(6, 5, dtype=torch.float32)
    set_coins(layer, 1.0, 0.0, 1.0)

    with torch.no_grad():
        compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")(x)
    tokens = torch.export.Dim("tokens", min=2, max=1024)
    program = torch.export.export(layer, (x,), dynamic_shapes={"x": {0: tokens}})

    assert torch.allclose(layer(x), compiled, atol=1e-6)
    more = drawn(11, 5, dtype=torch.float32)
    assert torch.allclose(layer(more), program.module()(more), atol=1e-6)


def test_the_specification_is_that_of_the_options() -> None:
    assert BlockPolicySpec(5, 3, 6, 3, 2, 0.5, "tanh") == built(hidden_layers=2, activation="tanh").spec
    assert BlockPolicySpec(5, 3) == BlockPolicyNetwork(5, 3).spec


def promised_and_counted(layer: BlockPolicyNetwork, tokens: int, pass_: str) -> tuple[OperationCost, OperationCost]:
    """What the closed form promises of a call, and what is counted while it runs."""
    layer.train(pass_ == "train").zero_grad()
    x = drawn(tokens, 5, dtype=torch.float32).requires_grad_(pass_ in ("train", "forward-grad"))
    visits = layer.visits(layer.outcome(x, generator=coins()).decisions)
    generator = coins()

    def call() -> None:
        with torch.enable_grad() if x.requires_grad else torch.inference_mode():
            out = layer(x, generator=generator)
        if pass_ == "train":
            torch.autograd.backward(out, torch.ones_like(out))

    return layer.spec.executed(visits, pass_), count_operations(call, strict=True).cost


@pytest.mark.parametrize("pass_", PASSES)
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_what_is_counted_is_what_is_promised(options: dict[str, Any], pass_: str) -> None:
    layer = built(dtype=torch.float32, **options)
    for tokens in (1,) if pass_ == "decode" else (0, 1, 2, 7):
        promised, counted = promised_and_counted(layer, tokens, pass_)

        assert promised.flop == counted.flop
        assert promised.routing_operations == counted.routing_operations


def test_what_is_touched_has_a_gradient() -> None:
    layer, x = built(hidden_layers=2, activation="tanh"), drawn(3, 5)
    outcome = layer.outcome(x, generator=coins(3))
    torch.autograd.backward(outcome.out.sum())

    touched = sum(int((p.grad != 0).sum()) for p in (*layer.weights, *layer.biases) if p.grad is not None)
    of_policies = sum(p.numel() for p in layer.policies.parameters())

    visits = layer.visits(outcome.decisions)
    # Some pair has a live input and a live output, and no way on to the output.
    assert 0 < visits["distinct_middle"] < 9
    assert touched + of_policies == layer.spec.touched_parameters(visits)
