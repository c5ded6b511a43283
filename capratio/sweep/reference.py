"""The answer of each layer in float64 from its definition, token by token, independent of the kernels.

It is computed where the layer lies: 64 matrices of 4096 x 4096 would take a host seconds.
"""

from dataclasses import dataclass
from math import pi, sqrt

import torch

from capratio.cost.spec import LayerSpec
from capratio.errors import InputError

# gelu rises by at most this, at v = sqrt(2): Phi(v) + v phi(v) = 1.129.
STEEPEST_GELU = 1.13
# Of the rounding of a score, as an output's in capratio.sweep.verify.
DECISION_SAFETY = 4.0


@dataclass(frozen=True, slots=True)
class RowGradient:
    """The gradient of some row of a parameter, float64.

    place: the row's index, of the parameter's first size (and of the second, where units have trees of their own);
    empty for a whole parameter. gradient: what the row gets. magnitude: the sum of the absolute values of its terms.
    terms: their number, the tokens that visit the row.
    """

    place: tuple[int, ...]
    gradient: torch.Tensor
    magnitude: torch.Tensor
    terms: int


@dataclass(frozen=True, slots=True)
class TokenWeights:
    """What one token's output is made of: y = weight x + bias, all float64.

    weight: (q, p), of a layer that is not linear its derivative at the token, which gives the input gradient too. bias:
    (q,), the nodes of a tree bias included, and what a derivative leaves of the output. magnitude: (q, p), the sum of
    the absolute values of the nodes, from which rounding is bounded. nodes: how many terms a weight is the sum of.
    """

    weight: torch.Tensor
    bias: torch.Tensor
    magnitude: torch.Tensor
    nodes: int


def token_weights(spec: LayerSpec, state: dict[str, torch.Tensor], bits: torch.Tensor, x: torch.Tensor) -> TokenWeights:
    """The effective weights of one token with the given bits: (k,), or (p, k) where units have bits of their own.

    The node of a prefix is found from its text as a binary number, one prefix at a time.

    Args: x: (p,), float64; the weights of tree layers do not depend on it.

    Raises InputError for a layer without a definition here.
    """
    bias = _exact(state["bias"]) if "bias" in state else x.new_zeros(spec.out_features, dtype=torch.float64)
    if spec.layer == "dense":
        weight = _exact(state["weight"])
        return TokenWeights(weight, bias, weight.abs(), 1)
    if spec.layer == "tree-shared":
        nodes = _exact(state["weight"][_rows(bits, spec.form)])
        return TokenWeights(nodes.sum(0), bias, nodes.abs().sum(0), len(nodes))
    if spec.layer == "tree-unit":
        rows = torch.stack([_rows(own, spec.form) for own in bits])
        nodes = _exact(state["weight"][torch.arange(spec.in_features)[:, None], rows])
        return TokenWeights(nodes.sum(1).T, bias, nodes.abs().sum(1).T, nodes.shape[1])
    if spec.layer == "tree-bias":
        weight = _exact(state["weight"])
        added = _exact(state["table"][_rows(bits, spec.form)]).sum(0)
        return TokenWeights(weight, bias + added, weight.abs(), 1)
    if spec.layer == "fast-feedforward":
        return _leaf_network(state, bits, x) if spec.form == "leaf" else _neurons(state, bits, x, bias)
    raise InputError(f"the layer {spec.layer!r} has no float64 reference; verify it against one of your own.")


def parameter_gradients(
    spec: LayerSpec, x: torch.Tensor, bits: torch.Tensor, incoming: torch.Tensor, rows: int
) -> dict[str, list[RowGradient]]:
    """The gradients of a layer's parameters: of a table, those of up to ``rows`` visited and as many other rows.

    Args: x: (N, p). bits: (N, k), or (N, p, k) where units have bits of their own. incoming: (N, q), of the output.

    Rows are chosen by the sizes alone, of a unit tree in up to ``rows`` units, one visited row and one other each. Of a
    fast feedforward layer the output's bias alone is found.
    """
    x, incoming, bits = _exact(x), _exact(incoming), bits.cpu()
    found = {"bias": [_summed((), incoming)]} if spec.output_bias else {}
    if spec.layer in ("dense", "tree-bias"):
        found["weight"] = [_outer((), incoming, x)]
    if spec.layer == "tree-shared":
        found["weight"] = [
            _outer((row,), incoming[tokens], x[tokens]) for row, tokens in _chosen_rows(spec, bits, rows).items()
        ]
    if spec.layer == "tree-bias":
        found["table"] = [_summed((row,), incoming[tokens]) for row, tokens in _chosen_rows(spec, bits, rows).items()]
    if spec.layer == "tree-unit":
        found["weight"] = [
            _summed((unit, row), x[tokens, unit, None] * incoming[tokens])
            for unit in _spread(spec.in_features, rows)
            for row, tokens in _chosen_rows(spec, bits[:, unit], 1).items()
        ]
    return found


def _outer(place: tuple[int, ...], incoming: torch.Tensor, x: torch.Tensor) -> RowGradient:
    return RowGradient(place, incoming.T @ x, incoming.abs().T @ x.abs(), len(x))


def _summed(place: tuple[int, ...], terms: torch.Tensor) -> RowGradient:
    return RowGradient(place, terms.sum(0), terms.abs().sum(0), len(terms))


def _chosen_rows(spec: LayerSpec, bits: torch.Tensor, rows: int) -> dict[int, list[int]]:
    """Some rows that are visited and some that are not, each with the tokens that visit it."""
    visits: dict[int, list[int]] = {}
    for token, own in enumerate(bits):
        for row in _rows(own, spec.form).tolist():
            visits.setdefault(row, []).append(token)
    visited = sorted(visits)
    chosen = [visited[at] for at in _spread(len(visited), rows)]
    others = [row for row in _spread(spec.nodes, len(chosen) + rows) if row not in visits][:rows]
    return {row: visits.get(row, []) for row in (*chosen, *others)}


def _spread(count: int, most: int) -> list[int]:
    """Up to ``most`` of 0..count - 1, first and last among them."""
    if count <= most:
        return list(range(count))
    return sorted({round(at * (count - 1) / max(most - 1, 1)) for at in range(most)})


def wrong_decision(spec: LayerSpec, state: dict[str, torch.Tensor], bits: torch.Tensor, x: torch.Tensor) -> int | None:
    """The first bit, counted from 1, that is not that of a walk in float64, by more than rounding; None where all are.

    Only the bits of a descent are looked at: a fast feedforward layer finds them from its own nodes, at each of which a
    token goes right where weight . x + offset > 0. Args: as token_weights.
    """
    if spec.gate != "descent":
        return None
    weight, offset = (state["gate.weight"], state["gate.bias"]) if spec.form == "leaf" else (state["weight_in"], None)
    # Half types are multiplied and summed in float32.
    eps = torch.finfo(torch.float64 if weight.dtype == torch.float64 else torch.float32).eps
    for place, (node, bit) in enumerate(zip(_rows(bits, "path").tolist(), bits.tolist(), strict=False), start=1):
        row, added = _exact(weight[node]), 0.0 if offset is None else float(offset[node])
        score = float(row @ x) + added
        rounding = DECISION_SAFETY * sqrt(len(x)) * eps * (float(row.abs() @ x.abs()) + abs(added))
        if abs(score) > rounding and (score > 0) != bit:
            return place
    return None


def _exact(values: torch.Tensor) -> torch.Tensor:
    return values.double()


def _rows(bits: torch.Tensor, form: str) -> torch.Tensor:
    text = "".join("1" if bit else "0" for bit in bits.tolist())
    if form != "path":
        return torch.tensor([int(text or "0", 2)])
    return torch.tensor([2**level - 1 + int(text[:level] or "0", 2) for level in range(len(text) + 1)])


def _leaf_network(state: dict[str, torch.Tensor], bits: torch.Tensor, x: torch.Tensor) -> TokenWeights:
    """W_out relu(W_in x + b_in) + b_out of the token's leaf: a unit that is on passes its weights, others nothing."""
    leaf = int(_rows(bits, "leaf"))
    first, first_bias = _exact(state["weight_in"][leaf]), _exact(state["bias_in"][leaf])
    second = _exact(state["weight_out"][leaf])
    live = second * (first @ x + first_bias > 0)
    bias = live @ first_bias + (_exact(state["bias_out"][leaf]) if "bias_out" in state else 0)
    return TokenWeights(live @ first, bias, second.abs() @ first.abs(), len(first))


def _neurons(state: dict[str, torch.Tensor], bits: torch.Tensor, x: torch.Tensor, bias: torch.Tensor) -> TokenWeights:
    """The sum over the way of v Phi(v) w_out, v = w_in . x, whose derivative in v is Phi(v) + v phi(v)."""
    nodes = _rows(bits, "path")
    first, second = _exact(state["weight_in"][nodes]), _exact(state["weight_out"][nodes])
    value = first @ x
    share = (1 + torch.erf(value / sqrt(2))) / 2
    slope = share + value * torch.exp(-(value**2) / 2) / sqrt(2 * pi)
    rest = (value * share - slope * value) @ second + bias
    return TokenWeights((second.T * slope) @ first, rest, STEEPEST_GELU * second.abs().T @ first.abs(), len(nodes))
