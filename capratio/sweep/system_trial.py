"""A case of a system that is no tree made ready to run: what its layer draws is drawn again before each sample."""

from dataclasses import dataclass

import torch

from capratio.cost.systems.contract import SystemSpec
from capratio.inputs.directions import impose_directions
from capratio.inputs.ids import make_ids
from capratio.inputs.table import make_input
from capratio.layers.conditional_layer import ConditionalLayer, Outcome
from capratio.layers.systems_table import build_spec
from capratio.records.record import Point
from capratio.sweep.case import Case, spec_of
from capratio.sweep.case_point import check_system_routing
from capratio.sweep.draw import draw_weights
from capratio.sweep.system_verify import verify_gradients, verify_outcome
from capratio.sweep.trial import Trial
from capratio.sweep.verify import check_same, check_same_gradient


@dataclass(frozen=True, slots=True)
class Batch:
    """What one call is given. x: (N, p). ids: int64 (N,), of a layer that looks up by them. seed: of what it draws."""

    x: torch.Tensor
    ids: torch.Tensor | None
    seed: int

    def token(self, place: int) -> "Batch":
        """One token of it, with a seed of its own."""
        ids = None if self.ids is None else self.ids[place : place + 1]
        return Batch(self.x[place : place + 1], ids, self.seed + place)


class SystemCall:
    """One sample of a layer as a pass runs it, with the same draws each time that it is made ready with one batch.

    A training pass runs in training mode, all others in evaluation.

    Args: incoming: the gradient of the output, (N, q), of a training pass; else None.
    """

    def __init__(self, layer: ConditionalLayer, pass_: str, incoming: torch.Tensor | None) -> None:
        self.layer = layer
        self.incoming = incoming
        self._training = pass_ == "train"
        self._recorded = pass_ in ("train", "forward-grad")
        layer.train(self._training)
        self._generator = torch.Generator(next(layer.parameters()).device) if layer.stochastic else None

    def ready(self, batch: Batch) -> Batch:
        """The batch, with mode, generator and gradients as before the first call; untimed."""
        if self.layer.training != self._training:
            # Another pass of the same layer was measured in between.
            self.layer.train(self._training)
        if self._generator is not None:
            self._generator.manual_seed(batch.seed)
        if self._recorded:
            batch.x.requires_grad_().grad = None
            self.layer.zero_grad(set_to_none=True)
        return batch

    def outcome(self, batch: Batch) -> Outcome:
        """What the layer computes and decides, forward."""
        with torch.enable_grad() if self._recorded else torch.inference_mode():
            return self.layer.outcome(batch.x, generator=self._generator, ids=batch.ids)

    def __call__(self, batch: Batch) -> torch.Tensor:
        """One sample: the output, and in training the gradients of input and parameters."""
        with torch.enable_grad() if self._recorded else torch.inference_mode():
            out: torch.Tensor = self.layer(batch.x, generator=self._generator, ids=batch.ids)
            if self.incoming is not None:
                torch.autograd.backward(out, self.incoming)
        return out


def build_system(point: Point, seed: int) -> ConditionalLayer:
    """The layer of a point with every weight drawn at random."""
    spec = spec_of(point)
    assert isinstance(spec, SystemSpec)
    layer = build_spec(spec, backend=point.backend, device=point.device, dtype=_dtype(point))
    draw_weights(layer, point.in_features, 0, seed)
    return layer


def prepare_system_trial(layer: ConditionalLayer, case: Case, seed: int) -> Trial:
    """Make the inputs of a case, verify the layer on them, and give what is to be measured.

    A training pass runs in training mode, all others in evaluation. Tokens that are decoded may differ in work: the
    first sample, which is counted, is one of median FLOP.

    Raises WrongAnswerError where an output or a choice differs from the float64 reference, InputError for an input
    without the token ids that the layer looks up, or a routing that cannot be imposed on the layer.
    """
    point = case.point
    tokens = case.sampling.decode_tokens if point.pass_ == "decode" else point.tokens
    whole = _batch(layer, point, tokens, seed)
    batches = [whole.token(place) for place in range(tokens)] if point.pass_ == "decode" else [whole]
    call = SystemCall(layer, point.pass_, _incoming(point, seed) if point.pass_ == "train" else None)
    outcomes = [call.outcome(call.ready(batch)) for batch in batches]
    for batch, outcome in zip(batches, outcomes, strict=True):
        verify_outcome(layer, batch.x, outcome)
    work = [layer.spec.executed(layer.visits(outcome.decisions), point.pass_).flop.total for outcome in outcomes]
    first = work.index(sorted(work)[len(work) // 2])
    batches, outcomes = batches[first:] + batches[:first], outcomes[first:] + outcomes[:first]
    verified = [outcome.out.detach() for outcome in outcomes]
    gradients: list[torch.Tensor] = []
    if call.incoming is not None:
        call(call.ready(whole))
        gradients = [gradient.clone() for gradient in _gradients(layer, whole)]
        verify_gradients(call, whole)
    visited = layer.visits(outcomes[0].decisions)

    def prepare(sample: int) -> Batch:
        return call.ready(batches[sample % len(batches)])

    def check(sample: int, out: torch.Tensor) -> None:
        check_same(verified[sample % len(verified)], out.detach(), "output")
        if call.incoming is not None:
            for expected, later in zip(gradients, _gradients(layer, whole), strict=True):
                check_same_gradient(expected, later)

    return Trial(call, prepare, check, visited, lambda _: None, None, layer.ran_backend)


def _gradients(layer: ConditionalLayer, batch: Batch) -> list[torch.Tensor]:
    found = (batch.x.grad, *(parameter.grad for parameter in layer.parameters()))
    return [gradient for gradient in found if gradient is not None]


def _batch(layer: ConditionalLayer, point: Point, tokens: int, seed: int) -> Batch:
    x = make_input(point.input, tokens, point.in_features, seed).to(point.device)
    ids = None
    if layer.takes_ids:
        ids = make_ids(point.input, point.routing, tokens, point.in_features, layer.entries, seed).to(point.device)
    elif point.routing != "measured":
        check_system_routing(layer.spec, point.routing)
        directions = layer.routing_directions()
        assert directions is not None
        x = impose_directions(x, directions.double(), layer.choices, point.routing, seed)
    return Batch(x.to(_dtype(point)), ids, seed)


def _incoming(point: Point, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed + 1)
    incoming = torch.randn(point.tokens, point.out_features, generator=generator)
    return incoming.to(point.device, _dtype(point))


def _dtype(point: Point) -> torch.dtype:
    dtype: torch.dtype = getattr(torch, point.dtype)
    return dtype
