"""A tree's case made ready to run, the dense layer's too: the layer, its inputs, and the call that is timed."""

import torch
from torch import nn

from capratio.cost.spec import LayerSpec, VisitedNodes, one_token
from capratio.errors import InputError
from capratio.inputs.routing import impose_routing
from capratio.inputs.table import make_input
from capratio.kernels.backends import REFERENCE
from capratio.layers.dense import Dense
from capratio.layers.gated_layer import GatedLayer
from capratio.layers.table import Layer, build
from capratio.records.record import Point
from capratio.sweep.case import Case, tree_spec_of
from capratio.sweep.draw import draw_weights
from capratio.sweep.trial import Trial
from capratio.sweep.verify import check_same, check_same_gradient, verify_output, verify_parameter_gradients


def build_tree(point: Point, seed: int) -> Layer:
    """The layer of a point with every weight drawn at random."""
    order = point.order or "auto"
    layer = build(
        tree_spec_of(point), order=order, init="empty", backend=point.backend, device=point.device, dtype=_dtype(point)
    )
    draw_weights(layer, point.in_features, point.depth, seed)
    return layer


def prepare_tree_trial(layer: Layer, case: Case, seed: int) -> Trial:
    """Make the inputs of a case, verify the layer on them, and give what is to be measured.

    Raises WrongAnswerError where an output differs from the float64 reference, InputError where the routing cannot be
    imposed on the layer's gate.
    """
    point = case.point
    spec = tree_spec_of(point)
    tokens = case.sampling.decode_tokens if point.pass_ == "decode" else point.tokens
    x = _inputs(layer, point, tokens, seed)
    state = dict(layer.state_dict())
    if point.pass_ == "train":
        return _training(layer, spec, point, x, state, seed)
    recorded = point.pass_ == "forward-grad"
    mode = torch.enable_grad if recorded else torch.inference_mode
    # As inside a network, whose layers pass gradients on to what is before them.
    x.requires_grad_(recorded)
    batches = [x[token : token + 1] for token in range(len(x))] if point.pass_ == "decode" else [x]
    with mode():
        verified = [layer(batch).detach() for batch in batches]
    detached = x.detach()
    whole = layer.visited(detached)
    verify_output(spec, state, detached, _bits(layer, detached), torch.cat(verified))

    def check(sample: int, out: torch.Tensor) -> None:
        check_same(verified[sample % len(verified)], out.detach(), "output")

    def call(batch: torch.Tensor) -> torch.Tensor:
        with mode():
            return layer(batch)  # type: ignore[no-any-return]

    def sampled(samples: int) -> VisitedNodes:
        return layer.visited(detached[:samples]) if point.pass_ == "decode" else whole

    visited = one_token(spec) if point.pass_ == "decode" else whole
    order = _order(layer, point.tokens)
    return Trial(call, lambda sample: batches[sample % len(batches)], check, visited, sampled, order, _backend(layer))


def _training(
    layer: Layer, spec: LayerSpec, point: Point, x: torch.Tensor, state: dict[str, torch.Tensor], seed: int
) -> Trial:
    x.requires_grad_()
    generator = torch.Generator().manual_seed(seed + 1)
    incoming = torch.randn(point.tokens, point.out_features, generator=generator).to(x.device, x.dtype)

    def prepare(_: int) -> torch.Tensor:
        x.grad = None
        for parameter in layer.parameters():
            parameter.grad = None
        return x

    def call(batch: torch.Tensor) -> torch.Tensor:
        out = layer(batch)
        out.backward(incoming)
        return out  # type: ignore[no-any-return]

    verified = call(prepare(0)).detach()
    gradients = [tensor.grad.clone() for tensor in (x, *layer.parameters()) if tensor.grad is not None]
    detached = x.detach()
    bits = _bits(layer, detached)
    verify_output(spec, state, detached, bits, verified, (incoming, gradients[0]))
    named = {name: parameter.grad for name, parameter in layer.named_parameters() if parameter.grad is not None}
    verify_parameter_gradients(spec, named, detached, bits, incoming)

    def check(_: int, out: torch.Tensor) -> None:
        check_same(verified, out.detach(), "output")
        later = [tensor.grad for tensor in (x, *layer.parameters()) if tensor.grad is not None]
        for expected, gradient in zip(gradients, later, strict=True):
            check_same_gradient(expected, gradient)

    visited = layer.visited(detached)
    return Trial(call, prepare, check, visited, lambda _: visited, _order(layer, point.tokens), _backend(layer))


def _inputs(layer: Layer, point: Point, tokens: int, seed: int) -> torch.Tensor:
    x = make_input(point.input, tokens, point.in_features, seed)
    if point.routing != "measured":
        if point.gate != "signs" or not isinstance(layer, GatedLayer):
            raise InputError(
                f"routing = {point.routing!r} sets the signs of the features that a gate reads, but the gate is "
                f"{point.gate!r}; use gate = 'signs' or routing = 'measured'."
            )
        chosen: torch.Tensor = layer.gate.chosen  # type: ignore[assignment]
        columns = torch.arange(point.in_features) if point.layer == "tree-unit" else chosen.cpu()
        x = impose_routing(x, columns, point.routing, seed)
    return x.to(point.device, _dtype(point))


def _bits(layer: Layer, x: torch.Tensor) -> torch.Tensor | None:
    return None if isinstance(layer, Dense) else layer.bits(x)


def _order(layer: nn.Module, tokens: int) -> str | None:
    order_for = getattr(layer, "order_for", None)
    return None if order_for is None or getattr(layer, "depth", 0) == 0 else str(order_for(tokens))


def _backend(layer: Layer) -> str:
    return REFERENCE if isinstance(layer, Dense) else layer.ran_backend


def _dtype(point: Point) -> torch.dtype:
    dtype: torch.dtype = getattr(torch, point.dtype)
    return dtype
