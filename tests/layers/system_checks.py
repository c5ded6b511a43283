"""What the tests of several systems ask of a layer: its reference, its promised counts, its habits."""

import pickle
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import TypeVar

import torch

from capratio.cost.operation import OperationCost
from capratio.layers.conditional_layer import ConditionalLayer, Decisions, Outcome
from capratio.measure.flop_counter import count_operations
from capratio.sweep.references.contract import Parameters, Reference

Layer = TypeVar("Layer", bound=ConditionalLayer)

# Of an output and of a gradient, relative to the largest value that is expected.
TOLERANCES = {torch.float64: 1e-12, torch.float32: 2e-5, torch.bfloat16: 0.05, torch.float16: 0.01}


def drawn(*shape: int, dtype: torch.dtype = torch.float32, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def redrawn(layer: Layer, seed: int = 11) -> Layer:
    """The layer with every parameter drawn at random, so that none of them hides behind a 0 or a 1."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64) * 0.6)
    return layer


def expected_output(layer: ConditionalLayer, reference: Reference, x: torch.Tensor, outcome: Outcome) -> torch.Tensor:
    """What the reference gives for all tokens under the layer's decisions, float64."""
    parameters = Parameters(layer.state_dict())
    rows = [
        reference.output(layer.spec, parameters, x.detach().double(), token, outcome.decisions)
        for token in range(len(x))
    ]
    return torch.stack(rows) if rows else torch.empty(0, layer.out_features, dtype=torch.float64)


def wrong_decision(layer: ConditionalLayer, reference: Reference, x: torch.Tensor, decisions: Decisions) -> str | None:
    """What the reference finds wrong with decisions, near ties in the layer's dtype allowed."""
    with torch.no_grad():
        parameters, exact = Parameters(layer.state_dict()), x.detach().double()
        return reference.wrong_decision(layer.spec, parameters, exact, decisions, torch.finfo(x.dtype).eps)


def assert_close(expected: torch.Tensor, actual: torch.Tensor, scale: float = 0.0) -> None:
    """Equal within rounding, relative to the largest expected value, or to a larger ``scale``."""
    if expected.numel() == 0:
        return
    largest = max(float(expected.detach().abs().max()), scale)
    distance = float((expected.detach() - actual.detach().double()).abs().max())
    assert distance <= TOLERANCES[actual.dtype] * largest


def assert_agrees(layer: ConditionalLayer, reference: Reference, x: torch.Tensor) -> None:
    """Outputs, decisions and all gradients are those of the reference."""
    x = x.detach().requires_grad_()
    outcome = layer.outcome(x)
    exact, parameters = x.detach().double().requires_grad_(), Parameters(layer.state_dict())

    assert wrong_decision(layer, reference, x, outcome.decisions) is None
    assert x.dtype == outcome.out.dtype
    assert_close(expected_output(layer, reference, x, outcome), outcome.out)

    incoming = drawn(*outcome.out.shape, dtype=x.dtype, seed=5)
    layer.zero_grad()
    torch.autograd.backward(outcome.out, incoming)
    for token in range(len(x)):
        out = reference.output(layer.spec, parameters, exact, token, outcome.decisions)
        torch.autograd.backward(out, incoming[token].double())
    if len(x):
        assert exact.grad is not None
        assert x.grad is not None
        assert_close(exact.grad, x.grad)
    _assert_parameter_gradients(layer, parameters)


def _assert_parameter_gradients(layer: ConditionalLayer, parameters: Parameters) -> None:
    """Relative to the largest gradient of any parameter: a scalar's may by chance sum up to almost nothing."""
    expected = {name: torch.zeros(parameter.shape, dtype=torch.float64) for name, parameter in layer.named_parameters()}
    for (name, place), value in parameters.read.items():
        if name in expected and value.grad is not None:
            expected[name][place] += value.grad
    scale = max(float(gradient.abs().max()) for gradient in expected.values())
    for name, parameter in layer.named_parameters():
        found = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        assert_close(expected[name], found, scale)


def promised_and_counted(layer: ConditionalLayer, tokens: int, pass_: str) -> tuple[OperationCost, OperationCost]:
    layer.train(pass_ == "train")
    x = drawn(tokens, layer.in_features, dtype=layer.dtype, seed=tokens)
    with torch.inference_mode():
        visits = layer.visits(layer.outcome(x).decisions)

    def train() -> None:
        layer(x.requires_grad_()).backward(torch.ones(tokens, layer.out_features, dtype=layer.dtype))

    def record() -> object:
        return layer(x.requires_grad_())

    def infer() -> object:
        with torch.inference_mode():
            return layer(x)

    layer.zero_grad()
    calls: dict[str, Callable[[], object]] = {"train": train, "forward-grad": record}
    counted = count_operations(calls.get(pass_, infer), strict=True).cost
    return layer.spec.executed(visits, pass_), counted


def assert_counts_as_promised(layer: ConditionalLayer, tokens: tuple[int, ...] = (0, 1, 2, 7)) -> None:
    for pass_ in ("forward", "decode", "forward-grad", "train"):
        for number in (1,) if pass_ == "decode" else tokens:
            promised, counted = promised_and_counted(layer, number, pass_)
            assert (pass_, number, promised.flop) == (pass_, number, counted.flop)
            assert (pass_, number, promised.routing_operations) == (pass_, number, counted.routing_operations)


def assert_gradients_are_those_of_finite_differences(layer: ConditionalLayer, tokens: int = 4) -> None:
    """To the input and every parameter, in float64, decisions staying as they are."""
    layer = layer.double()
    x = drawn(tokens, layer.in_features, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(lambda x, *_: layer(x), (x, *layer.parameters()))


def assert_habits(make: Callable[..., ConditionalLayer]) -> None:
    """Leading shapes, repetition, state, copies, the meta device, resets and sizes."""
    layer, x = redrawn(make()), drawn(6, make().in_features)
    for leading in ((), (4,), (2, 3), (0,), (3, 0)):
        assert (*leading, layer.out_features) == tuple(layer(drawn(*leading, layer.in_features)).shape)
    assert torch.allclose(layer(x).view(2, 3, -1), layer(x.view(2, 3, -1)), atol=1e-6)
    assert torch.equal(layer(x), layer(x))
    assert torch.allclose(layer(x), layer(x.t().contiguous().t()), atol=1e-6)
    for same in _copies(make, layer):
        assert torch.equal(layer(x), same(x))
    assert layer.spec.parameters == sum(parameter.numel() for parameter in layer.parameters())
    assert f"in_features={layer.in_features}, out_features={layer.out_features}" in repr(layer)
    for module in layer.modules():
        if hasattr(module, "reset_parameters"):
            module.reset_parameters()  # type: ignore[operator]
    assert all(parameter.isfinite().all() for parameter in layer.parameters())
    assert torch.float64 == layer.double()(x.double()).dtype


def _copies(make: Callable[..., ConditionalLayer], layer: ConditionalLayer) -> Iterator[ConditionalLayer]:
    other, meta = make(), make(device="meta")
    other.load_state_dict(layer.state_dict())
    meta.to_empty(device="cpu").load_state_dict(layer.state_dict())
    yield from (other, meta, deepcopy(layer), pickle.loads(pickle.dumps(layer)))


def assert_compiles_and_exports(layer: ConditionalLayer, fewest: int = 2) -> None:
    """The evaluation form traces in one graph and exports with a free number of tokens, from ``fewest`` on."""
    layer, x, more = layer.eval(), drawn(6, layer.in_features), drawn(11, layer.in_features)
    with torch.no_grad():
        assert torch.allclose(layer(x), torch.compile(layer, fullgraph=True, backend="aot_eager")(x), atol=1e-6)
    tokens = torch.export.Dim("tokens", min=fewest, max=1024)
    program = torch.export.export(layer, (x,), dynamic_shapes={"x": {0: tokens}})
    assert torch.allclose(layer(more), program.module()(more), atol=1e-6)
    torch.compiler.reset()
