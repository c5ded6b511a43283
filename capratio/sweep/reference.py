"""The answer of each layer in float64 from its definition, token by token, on the host, independent of the kernels."""

from dataclasses import dataclass

import torch

from capratio.cost.spec import LayerSpec
from capratio.errors import InputError


@dataclass(frozen=True, slots=True)
class RowGradient:
    """The gradient of some row of a parameter, float64 on the CPU.

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
    """What one token's output is made of: y = weight x + bias, all float64 on the CPU.

    weight: (q, p). bias: (q,), the nodes of a tree bias included. magnitude: (q, p), the sum of the absolute values of
    the nodes, from which rounding is bounded. nodes: how many terms a weight is the sum of.
    """

    weight: torch.Tensor
    bias: torch.Tensor
    magnitude: torch.Tensor
    nodes: int


def token_weights(spec: LayerSpec, state: dict[str, torch.Tensor], bits: torch.Tensor) -> TokenWeights:
    """The effective weights of one token with the given bits: (k,), or (p, k) where units have bits of their own.

    The node of a prefix is found from its text as a binary number, one prefix at a time.

    Raises InputError for a layer without a definition here.
    """
    bias = _exact(state["bias"]) if "bias" in state else torch.zeros(spec.out_features, dtype=torch.float64)
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
    raise InputError(f"the layer {spec.layer!r} has no float64 reference; verify it against one of your own.")


def parameter_gradients(
    spec: LayerSpec, x: torch.Tensor, bits: torch.Tensor, incoming: torch.Tensor, rows: int
) -> dict[str, list[RowGradient]]:
    """The gradients of a layer's parameters: of a table, those of up to ``rows`` visited and as many other rows.

    Args: x: (N, p). bits: (N, k), or (N, p, k) where units have bits of their own. incoming: (N, q), of the output.

    Rows are chosen by the sizes alone, of a unit tree in up to ``rows`` units, one visited row and one other each.
    """
    x, incoming, bits = _exact(x), _exact(incoming), bits.cpu()
    found = {"bias": [_summed((), incoming)]} if spec.bias else {}
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


def _exact(values: torch.Tensor) -> torch.Tensor:
    return values.cpu().double()


def _rows(bits: torch.Tensor, form: str) -> torch.Tensor:
    text = "".join("1" if bit else "0" for bit in bits.tolist())
    if form == "collapsed":
        return torch.tensor([int(text or "0", 2)])
    return torch.tensor([2**level - 1 + int(text[:level] or "0", 2) for level in range(len(text) + 1)])
