"""A wrong answer has no time: outputs against float64, and later samples against the verified one, bit by bit."""

import torch

from capratio.cost.spec import LayerSpec
from capratio.sweep.reference import TokenWeights, token_weights, wrong_decision

# Every token of a batch up to this many, and this many seeded ones of a larger batch, are compared with the reference.
VERIFIED_TOKENS = 64
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
    # Once for all tokens: each read of a device waits for it.
    x, out = x.cpu(), out.cpu()
    gradients = None if input_gradient is None else (input_gradient[0].cpu(), input_gradient[1].cpu())
    for token in _chosen(len(x)):
        own = torch.zeros(0) if bits is None else bits[token]
        row = x[token].double()
        decision = wrong_decision(spec, state, own, row)
        if decision is not None:
            raise WrongAnswerError(f"bit {decision} of token {token} is not that of the float64 reference.")
        weights = token_weights(spec, state, own, row)
        expected = weights.weight @ row + weights.bias
        reach = weights.magnitude @ row.abs() + weights.bias.abs()
        _compare(out[token], expected, reach, spec.in_features * weights.nodes, f"output of token {token}")
        if gradients is not None:
            _compare_gradient(weights, gradients, token, spec)


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


def _chosen(tokens: int) -> list[int]:
    if tokens <= VERIFIED_TOKENS:
        return list(range(tokens))
    generator = torch.Generator().manual_seed(tokens)
    return sorted(torch.randperm(tokens, generator=generator)[:VERIFIED_TOKENS].tolist())
