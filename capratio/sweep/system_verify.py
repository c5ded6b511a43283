"""A system's answers against float64: choices, outputs and gradients of some tokens, from the paper's formulas.

Each row is compared by its Euclidean length, to which roundings add up at random and a wrong expert or row does not: of
one element, the wrong row of a table that is added to a token may hide behind the rounding of the token in a half type.
Gradients are verified on a call of the same sizes whose incoming gradient is zero but for the tokens that are compared;
every later sample is held bit-equal to the call that is timed.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

import torch

from capratio.layers.conditional_layer import ConditionalLayer, Outcome
from capratio.sweep.references.contract import Decisions, Parameters, Place
from capratio.sweep.references.moved import RUNS, moved, squared_distance
from capratio.sweep.references.table import REFERENCES
from capratio.sweep.verify import WrongAnswerError, chosen_tokens, gradient_part

if TYPE_CHECKING:
    from capratio.sweep.system_trial import Batch, SystemCall

Change = Callable[[torch.Tensor], torch.Tensor]
# A parameter's name, and where in it.
Part = tuple[str, Place]
INPUT: Part = ("", ())

HALF_TYPES = (torch.float16, torch.bfloat16)

# A sum of n terms is off by some sqrt(n) roundings, and a layer is three or four sums deep, or eight steps; a
# mistake is off by a hundred times more.
SAFETY = 64.0
# Of half types, each of whose products is rounded before the next one: seen are 0.2 to 1.2.
HALF_SAFETY = 3.0
# Of how far a gradient moves where operands are off by a rounding; a layer rounds what it computes of them too. Seen
# are up to 3, of some 500 gradients of adaptive computation time.
MOVED_SAFETY = 8.0
# Of a gradient that is next to nothing: seen are 0.01 to 0.7.
FLOW_SAFETY = 4.0


def verify_outcome(layer: ConditionalLayer, x: torch.Tensor, outcome: Outcome) -> None:
    """Hold the layer's choices, and the outputs of some tokens, against the float64 reference.

    Args: x: (N, p), what the layer was given.

    Raises WrongAnswerError, which names the choice or the token.
    """
    reference, exact = REFERENCES[layer.spec.layer], x.detach().double()
    parameters = Parameters(layer.state_dict())
    with torch.no_grad():
        eps = torch.finfo(x.dtype).eps if reference.rounds_hidden else _summed_eps(x.dtype)
        wrong = reference.wrong_decision(layer.spec, parameters, exact, outcome.decisions, eps)
        if wrong is not None:
            raise WrongAnswerError(f"a choice differs from the float64 reference: {wrong}.")
        tokens = chosen_tokens(len(x))
        if not tokens:
            return
        expected = torch.stack(
            [reference.output(layer.spec, parameters, exact, token, outcome.decisions) for token in tokens]
        )
    compare(outcome.out[tokens], expected, layer, "output")


def verify_gradients(call: "SystemCall", batch: "Batch") -> None:
    """Hold the gradients of the input and of every parameter that some tokens give against those of the reference.

    Raises WrongAnswerError, which names the parameter.
    """
    layer, tokens = call.layer, chosen_tokens(len(batch.x))
    assert call.incoming is not None
    incoming = torch.zeros_like(call.incoming)
    incoming[tokens] = call.incoming[tokens]
    outcome = call.outcome(call.ready(batch))
    torch.autograd.backward(outcome.out, incoming)
    given = batch.x.detach().double(), incoming.double(), outcome.decisions
    expected = _reference_gradients(layer, *given, tokens)
    moved_by = _moved_by(layer, *given, tokens, expected) if batch.x.dtype in HALF_TYPES else {}
    compare(_gradient(batch.x), expected[INPUT], layer, "gradient of the input", moved_by.get(INPUT))
    flow = _flow(batch.x.detach(), outcome.out.detach(), incoming)
    for name, parameter in layer.named_parameters():
        own = {place: exact for (read, place), exact in expected.items() if read == name}
        of_own = {place: moved_by.get((name, place)) for place in own}
        _verify_parameter(layer, name, parameter, own, of_own, flow)


def _moved_by(
    layer: ConditionalLayer,
    x: torch.Tensor,
    incoming: torch.Tensor,
    decisions: Decisions,
    tokens: list[int],
    expected: Mapping[Part, torch.Tensor],
) -> dict[Part, torch.Tensor]:
    """How far the rows of each gradient move where operands do, the root of the mean square of several runs.

    Args: x, incoming, decisions, tokens: as ``_reference_gradients``. expected: what it gave.
    """
    squares = {part: torch.zeros(exact.shape[:-1], device=exact.device) for part, exact in expected.items()}
    for seed in range(RUNS):
        change = partial(moved, eps=torch.finfo(layer.dtype).eps, generator=torch.Generator().manual_seed(seed))
        run = _reference_gradients(layer, x, incoming, decisions, tokens, change)
        for part, exact in expected.items():
            squares[part] = squares[part] + squared_distance(exact, run[part])
    return {part: (total / RUNS).sqrt() for part, total in squares.items()}


def _reference_gradients(
    layer: ConditionalLayer,
    x: torch.Tensor,
    incoming: torch.Tensor,
    decisions: Decisions,
    tokens: list[int],
    change: Change | None = None,
) -> dict[Part, torch.Tensor]:
    """The gradient of the input, and of each part of a parameter that the tokens' outputs depend on.

    Args: x: (N, p). incoming: (N, q). change: what becomes of each operand first.
    """
    if change is not None:
        x, incoming = change(x), change(incoming)
    x, parameters = x.clone().requires_grad_(), Parameters(layer.state_dict(), change)
    reference = REFERENCES[layer.spec.layer]
    for token in tokens:
        torch.autograd.backward(reference.output(layer.spec, parameters, x, token, decisions), incoming[token])
    # What only decides is read too, and has no gradient.
    found = {part: read.grad for part, read in parameters.read.items() if read.grad is not None}
    return {INPUT: _gradient(x), **found}


def _flow(x: torch.Tensor, out: torch.Tensor, incoming: torch.Tensor) -> float:
    """The size of a gradient through which all of the output flows, as of a scale or of a router's scores.

    A router that is all but certain has next to none, and what is left are roundings of terms as large as this.
    """
    length = torch.linalg.vector_norm
    products = length(out.double() * incoming.double(), dim=-1) * length(x.double(), dim=-1).clamp_min(1.0)
    return float(length(products))


def _verify_parameter(
    layer: ConditionalLayer,
    name: str,
    parameter: torch.nn.Parameter,
    expected: Mapping[Place, torch.Tensor],
    moved_by: Mapping[Place, torch.Tensor | None],
    flow: float,
) -> None:
    """Compare the parts of a gradient that the reference has, and see that all the rest is zero.

    Args: expected, moved_by: of the parts, by their places.
    """
    reached = 0
    for place, exact in expected.items():
        where = f" at {', '.join(map(_shown, place))}" if place else ""
        own = gradient_part(_gradient(parameter), place)
        compare(own, exact, layer, f"gradient of {name}{where}", moved_by[place], flow)
        reached += int(own.count_nonzero())
    if parameter.grad is None:
        return
    found = int((parameter.grad._values() if parameter.grad.is_sparse else parameter.grad).count_nonzero())
    if found > reached:
        raise WrongAnswerError(
            f"the gradient of {name} is not zero at {found - reached} elements that no compared token reaches."
        )


def _shown(index: int | range) -> str:
    return f"{index.start} to {index.stop - 1}" if isinstance(index, range) else str(index)


def _gradient(tensor: torch.Tensor) -> torch.Tensor:
    """Its gradient; zeros where nothing came back."""
    return torch.zeros_like(tensor) if tensor.grad is None else tensor.grad


def compare(
    got: torch.Tensor,
    expected: torch.Tensor,
    layer: ConditionalLayer,
    what: str,
    moved_by: torch.Tensor | None = None,
    flow: float = 0.0,
) -> None:
    """Raise WrongAnswerError where a row differs by more than rounding, relative to its length or the typical one.

    Args: moved_by: of half types, how far operands that are off by a rounding move each row. flow: of which a few
    roundings are allowed beside; scores are float32 in half types too, and so are these.
    """
    if expected.numel() == 0:
        return
    terms = max(layer.in_features, layer.out_features)
    tolerance = SAFETY * terms**0.5 * _summed_eps(got.dtype)
    if got.dtype in HALF_TYPES:
        tolerance += HALF_SAFETY * torch.finfo(got.dtype).eps
    exact = expected.detach()
    length = torch.linalg.vector_norm(exact, dim=-1)
    # What cancels to nearly nothing is rounded like its terms.
    allowed = tolerance * length.clamp_min(float(length.square().mean().sqrt()))
    allowed = allowed + FLOW_SAFETY * _summed_eps(got.dtype) * flow
    if moved_by is not None:
        allowed = allowed + MOVED_SAFETY * moved_by
    distance = torch.linalg.vector_norm(got.detach().double() - exact, dim=-1)
    if not bool((distance <= allowed).all()):
        worst = float((distance / allowed.clamp_min(torch.finfo(torch.float64).tiny)).max())
        raise WrongAnswerError(f"the {what} is {worst:.3g} tolerances away from the float64 reference.")


def _summed_eps(dtype: torch.dtype) -> float:
    """Of the dtype in which products are summed: half types are summed in float32."""
    return torch.finfo(torch.float64 if dtype == torch.float64 else torch.float32).eps
