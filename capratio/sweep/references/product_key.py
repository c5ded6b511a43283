"""The answer of the product-key memory in float64, value by value, and whether all keys² pairs were outdone."""

import torch

from capratio.cost.systems.contract import SystemSpec
from capratio.cost.systems.product_key import ProductKeySpec
from capratio.sweep.references.contract import Decisions, Parameters, Reference
from capratio.sweep.references.rounding import linear_error

# Scores, and how far rounding may have moved each of them.
Scored = tuple[torch.Tensor, torch.Tensor]


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
        with torch.no_grad():
            for head in range(spec.heads):
                halves = _half_scores(spec, parameters, x, head, eps)
                for token in range(len(x)):
                    wrong = _wrong_rows(chosen[token, head], [(score[token], off[token]) for score, off in halves], eps)
                    if wrong:
                        return f"head {head} of token {token} {wrong}"
        return None


def _wrong_rows(chosen: torch.Tensor, halves: list[Scored], eps: float) -> str | None:
    """What is wrong with the values that a head reads for a token.

    chosen: (k,). halves: the scores of the sub-keys with each half of the query, (keys,), and their errors.
    """
    (first, _), (second, _) = halves
    keys, rows = len(second), chosen.tolist()
    if len(set(rows)) < len(rows) or not all(0 <= row < keys * keys for row in rows):
        return f"reads the values {rows}, which are not {len(rows)} of 0 to {keys * keys - 1}"
    left, right = chosen // keys, chosen % keys
    score, off = (one.diagonal() for one in _pairs(halves, left, right, eps))
    most = score + off
    lowest = most.min()
    # A pair scores more only where its half does with the best of the other: few of all keys² are left.
    left = (first + second.max() > lowest).nonzero().squeeze(1)
    right = (second + first.max() > lowest).nonzero().squeeze(1)
    score, off = _pairs(halves, left, right, eps)
    others = left.unsqueeze(1) * keys + right
    better = (score - off > lowest) & ~torch.isin(others, chosen)
    if not better.any():
        return None
    row, other = rows[int(most.argmin())], int(others[better][0])
    return f"reads value {row}, whose score is not among its {len(rows)} highest, as that of {other} is"


def _half_scores(spec: ProductKeySpec, parameters: Parameters, x: torch.Tensor, head: int, eps: float) -> list[Scored]:
    """The scores of the sub-keys with each half of the tokens' queries, (N, keys), with their errors."""
    own, zero = 2 * spec.key_features * head, x.new_zeros(1)
    query = parameters["query"][own : own + 2 * spec.key_features]
    values = torch.tensor_split(x @ query.T, 2, 1)
    errors = torch.tensor_split(linear_error(query, zero, x, torch.zeros_like(x), eps), 2, 1)
    return [
        (value @ sub_keys.T, linear_error(sub_keys, zero, value, error, eps))
        for value, error, sub_keys in zip(values, errors, parameters["sub_keys"][head], strict=True)
    ]


def _pairs(halves: list[Scored], left: torch.Tensor, right: torch.Tensor, eps: float) -> Scored:
    """The scores of all pairs of some sub-keys, (L,), (R,) -> (L, R), and their errors."""
    (first, first_off), (second, second_off) = halves
    score = first[left].unsqueeze(1) + second[right]
    return score, first_off[left].unsqueeze(1) + second_off[right] + eps * score.abs()
