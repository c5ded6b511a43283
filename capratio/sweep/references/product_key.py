"""The answer of the product-key memory in float64, value by value, and whether all keys² pairs were outdone."""

import torch

from capratio.cost.systems.contract import SystemSpec
from capratio.cost.systems.product_key import ProductKeySpec
from capratio.sweep.references.contract import Decisions, Parameters, Reference
from capratio.sweep.references.rounding import linear_error

# Pairs of all tokens of a chunk: 32 MiB of float64.
SCORES_AT_ONCE = 2**22


class ProductKeyReference(Reference):
    """y = Σ over heads and their chosen pairs (i, j) of softmax(u . a_i + v . b_j) values[i keys + j]."""

    def output(
        self, spec: SystemSpec, parameters: Parameters, x: torch.Tensor, token: int, decisions: Decisions
    ) -> torch.Tensor:
        """As Reference's: the softmax is over the pairs that a head chose."""
        assert isinstance(spec, ProductKeySpec)
        queries = (parameters["query"] @ x[token]).view(spec.heads, 2, spec.key_features)
        out = x.new_zeros(spec.out_features)
        for head, rows in enumerate(decisions["rows"][token].view(spec.heads, spec.top_k).tolist()):
            u, v = queries[head]
            left, right = parameters["sub_keys"][head]
            scores = [left[row // spec.keys] @ u + right[row % spec.keys] @ v for row in rows]
            for row, share in zip(rows, torch.softmax(torch.stack(scores), 0), strict=True):
                out = out + share * parameters.row("values", row)
        return out

    def wrong_decision(
        self, spec: SystemSpec, parameters: Parameters, x: torch.Tensor, decisions: Decisions, eps: float
    ) -> str | None:
        """A value outside of the memory or chosen twice by a head, or one whose score another's of all keys² beats."""
        assert isinstance(spec, ProductKeySpec)
        chosen = decisions["rows"].view(len(x), spec.heads, spec.top_k)
        step = max(1, SCORES_AT_ONCE // spec.values)
        with torch.no_grad():
            for head in range(spec.heads):
                for first in range(0, len(x), step):
                    part = slice(first, first + step)
                    wrong = _wrong_rows(chosen[part, head], *_scores(spec, parameters, x[part], head, eps))
                    if wrong:
                        return f"head {head} of token {first + wrong[0]} {wrong[1]}"
        return None


def _wrong_rows(chosen: torch.Tensor, scores: torch.Tensor, errors: torch.Tensor) -> tuple[int, str] | None:
    """The first token with a wrong value, and what is wrong.

    chosen: (N, k). scores, errors: (N, keys²), of all pairs.
    """
    values = scores.shape[1]
    for token, rows in enumerate(chosen.tolist()):
        if len(set(rows)) < len(rows) or not all(0 <= row < values for row in rows):
            return token, f"reads the values {rows}, which are not {len(rows)} of 0 to {values - 1}"
    most = (scores + errors).gather(1, chosen)
    least = (scores - errors).scatter(1, chosen, -torch.inf)
    outdone = (most.amin(1) < least.amax(1)).nonzero().flatten().tolist()
    if not outdone:
        return None
    token = outdone[0]
    row, other = int(chosen[token, most[token].argmin()]), int(least[token].argmax())
    return token, f"reads value {row}, whose score is not among its {chosen.shape[1]} highest, as that of {other} is"


def _scores(
    spec: ProductKeySpec, parameters: Parameters, x: torch.Tensor, head: int, eps: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """The scores of all pairs with each token's query, (N, keys²), and how far rounding may have moved each of them."""
    own, zero = 2 * spec.key_features * head, x.new_zeros(1)
    query = parameters["query"][own : own + 2 * spec.key_features]
    left, right = parameters["sub_keys"][head]
    u, v = torch.tensor_split(x @ query.T, 2, 1)
    u_off, v_off = torch.tensor_split(linear_error(query, zero, x, torch.zeros_like(x), eps), 2, 1)
    first, second = linear_error(left, zero, u, u_off, eps), linear_error(right, zero, v, v_off, eps)
    scores = _pairs(u @ left.T, v @ right.T)
    return scores, _pairs(first, second) + eps * scores.abs()


def _pairs(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """The sums of all pairs, (N, keys), (N, keys) -> (N, keys²)."""
    return (first.unsqueeze(2) + second.unsqueeze(1)).flatten(1)
