"""The answer of the product-key memory in float64, value by value, and whether all keys² pairs were outdone."""

import torch

from capratio.cost.systems.contract import SystemSpec
from capratio.cost.systems.product_key import ProductKeySpec
from capratio.sweep.references.contract import Decisions, Parameters, Reference
from capratio.sweep.references.rounding import linear_error


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
            for token in range(len(x)):
                for head in range(spec.heads):
                    scores, errors = _scores(spec, parameters, x[token], head, eps)
                    wrong = _wrong_rows(chosen[token, head], scores, errors)
                    if wrong:
                        return f"head {head} of token {token} {wrong}"
        return None


def _wrong_rows(rows: torch.Tensor, scores: torch.Tensor, errors: torch.Tensor) -> str | None:
    """rows: (k,). scores, errors: (keys²,), of all pairs."""
    found = rows.tolist()
    if len(set(found)) < len(found) or not all(0 <= row < len(scores) for row in found):
        return f"reads the values {found}, which are not {len(found)} of 0 to {len(scores) - 1}"
    most = (scores + errors)[rows]
    least = (scores - errors).index_fill(0, rows, -torch.inf)
    if most.min() < least.max():
        row, other = found[int(most.argmin())], int(least.argmax())
        return f"reads value {row}, whose score is not among the {len(found)} highest, as that of {other} is"
    return None


def _scores(
    spec: ProductKeySpec, parameters: Parameters, x: torch.Tensor, head: int, eps: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """The scores of all pairs with a token's query, (keys²,), and how far rounding may have moved each of them."""
    own = 2 * spec.key_features * head
    query, zero = parameters["query"][own : own + 2 * spec.key_features], x.new_zeros(1)
    (left, right), (u, v) = parameters["sub_keys"][head], (query @ x).view(2, spec.key_features)
    u_off, v_off = linear_error(query, zero, x, torch.zeros_like(x), eps).view(2, spec.key_features)
    first, second = linear_error(left, zero, u, u_off, eps), linear_error(right, zero, v, v_off, eps)
    scores = ((left @ u).unsqueeze(1) + right @ v).flatten()
    return scores, (first.unsqueeze(1) + second).flatten() + eps * scores.abs()
