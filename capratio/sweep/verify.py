"""A wrong answer has no time: outputs against float64, and later samples against the verified one, bit by bit."""

import torch

from capratio.cost.spec import LayerSpec
from capratio.sweep.reference import TokenWeights, parameter_gradients, token_weights, wrong_decision
from capratio.sweep.references.contract import Place, part_of

# Every token of a batch up to this many, and this many seeded ones of a larger batch, are compared with the reference.
VERIFIED_TOKENS = 64
# Rows of a table's gradient, and as many that no token visits: a matrix each, of terms from as many as all tokens.
VERIFIED_ROWS = 8
# Random rounding of n terms grows as sqrt(n) (Higham, Accuracy and Stability, section 2.8); 4 makes a false alarm in
# millions of outputs unlikely, while one wrong node is off by thousands of times this.
SAFETY = 4.0


class WrongAnswerError(Exception):
    """An output differs from its reference, so the case has no time."""


def verify_output(
    spec: LayerSpec,
    state: dict[str, torch.Tensor],
    x: torch.Tensor,
    bits: torch.Tensor | None,
    out: torch.Tensor,
    input_gradient: tuple[torch.Tensor, torch.Tensor] | None = None,
) -> None:
    """Compare a batch with the float64 reference.

    Args: x: (N, p). bits: (N, k), (N, p, k), or None for a dense layer. out: (N, q). input_gradient: the gradient that
    came in, (N, q), and the one that went out to x, (N, p).

    Raises WrongAnswerError, which names the token and the distance in tolerances.
    """
    # A dense layer's weights are those of every token: a matrix of gigabytes is converted once.
    shared: TokenWeights | None = None
    for token in chosen_tokens(len(x)):
        own = torch.zeros(0) if bits is None else bits[token]
        row = x[token].double()
        decision = wrong_decision(spec, state, own, row)
        if decision is not None:
            raise WrongAnswerError(f"bit {decision} of token {token} is not that of the float64 reference.")
        weights = shared or token_weights(spec, state, own, row)
        shared = weights if spec.layer == "dense" else None
        expected = weights.weight @ row + weights.bias
        reach = weights.magnitude @ row.abs() + weights.bias.abs()
        _compare(out[token], expected, reach, spec.in_features * weights.nodes, f"output of token {token}")
        if input_gradient is not None:
            _compare_gradient(weights, input_gradient, token, spec)


def verify_parameter_gradients(
    spec: LayerSpec,
    gradients: dict[str, torch.Tensor],
    x: torch.Tensor,
    bits: torch.Tensor | None,
    incoming: torch.Tensor,
) -> None:
    """Compare the gradients of a layer's parameters with the float64 reference, some rows of a table.

    Args: gradients: of each parameter that has one, by name. x: (N, p). bits: as in ``verify_output``. incoming: (N,
    q), of the output.

    Raises WrongAnswerError, which names the parameter and the row, or for a gradient that is sparse and should not be,
    or the other way round.
    """
    own = torch.zeros(len(x), 0) if bits is None else bits
    for name, rows in parameter_gradients(spec, x, own, incoming, VERIFIED_ROWS).items():
        table = name == "table" or (name == "weight" and spec.layer != "tree-bias")
        if gradients[name].is_sparse != (table and spec.touched_gradient):
            layout = "sparse" if gradients[name].is_sparse else "dense"
            raise WrongAnswerError(f"the gradient of {name} is {layout} with weight_gradient={spec.weight_gradient!r}.")
        for row in rows:
            place = f" at row {', '.join(map(str, row.place))}" if row.place else ""
            got = gradient_part(gradients[name], row.place)
            _compare(got, row.gradient, row.magnitude, max(row.terms, 1), f"gradient of {name}{place}")


def gradient_part(gradient: torch.Tensor, place: Place) -> torch.Tensor:
    """A gradient, dense or sparse, at a place, of a sparse one at single indices; all of it at ()."""
    if not gradient.is_sparse:
        return part_of(gradient, place)
    if not place:
        return gradient.to_dense()
    row = torch.tensor(place, device=gradient.device).unsqueeze(1)
    return gradient._values()[(gradient._indices() == row).all(0)].sum(0)


def check_same_gradient(expected: torch.Tensor, gradient: torch.Tensor) -> None:
    """As ``check_same``; of sparse gradients the rows too."""
    for one, other in zip(_parts(expected), _parts(gradient), strict=True):
        check_same(one, other, "gradient")


def _parts(gradient: torch.Tensor) -> tuple[torch.Tensor, ...]:
    return (gradient._indices(), gradient._values()) if gradient.is_sparse else (gradient,)


def check_same(expected: torch.Tensor, out: torch.Tensor, what: str) -> None:
    """Raise WrongAnswerError unless two tensors are bit-equal."""
    if not torch.equal(expected, out):
        raise WrongAnswerError(f"the {what} differs from the verified one of the same input; it must be bit-equal.")


def _compare_gradient(
    weights: TokenWeights, gradient: tuple[torch.Tensor, torch.Tensor], token: int, spec: LayerSpec
) -> None:
    incoming = gradient[0][token].double()
    expected = weights.weight.T @ incoming
    reach = weights.magnitude.T @ incoming.abs()
    _compare(gradient[1][token], expected, reach, spec.out_features * weights.nodes, f"input gradient of token {token}")


def _compare(out: torch.Tensor, expected: torch.Tensor, reach: torch.Tensor, terms: int, what: str) -> None:
    dtype = out.dtype
    # Half types are multiplied and summed in float32 and rounded at the ends.
    summed = torch.float32 if dtype in (torch.float16, torch.bfloat16) else dtype
    tolerance = SAFETY * terms**0.5 * torch.finfo(summed).eps * reach
    if dtype != summed:
        tolerance = tolerance + SAFETY * torch.finfo(dtype).eps * (expected.abs() + reach / terms**0.5)
    distance = (out.double() - expected).abs()
    if not bool((distance <= tolerance).all()):
        worst = float((distance / tolerance.clamp_min(torch.finfo(torch.float64).tiny)).max())
        raise WrongAnswerError(f"the {what} is {worst:.3g} tolerances away from the float64 reference.")


def chosen_tokens(tokens: int) -> list[int]:
    if tokens <= VERIFIED_TOKENS:
        return list(range(tokens))
    generator = torch.Generator().manual_seed(tokens)
    return sorted(torch.randperm(tokens, generator=generator)[:VERIFIED_TOKENS].tolist())
