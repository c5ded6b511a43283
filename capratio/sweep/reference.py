"""The answer of each layer in float64 from its definition, token by token, on the host, independent of the kernels."""

from dataclasses import dataclass

import torch

from capratio.cost.spec import LayerSpec
from capratio.errors import InputError


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


def _exact(values: torch.Tensor) -> torch.Tensor:
    return values.cpu().double()


def _rows(bits: torch.Tensor, form: str) -> torch.Tensor:
    text = "".join("1" if bit else "0" for bit in bits.tolist())
    if form == "collapsed":
        return torch.tensor([int(text or "0", 2)])
    return torch.tensor([2**level - 1 + int(text[:level] or "0", 2) for level in range(len(text) + 1)])
