"""What products cost: matrix products, products of groups, weighted bags, convolutions and attention.

A product of (m, k) by (k, n) costs 2 m k n FLOP (1 multiply-add = 2 FLOP), of class product. Of a sparse factor only
the stored elements are multiplied.
"""

from math import prod
from typing import Any

import torch

from capratio.cost.flop import Flop
from capratio.cost.operation import OperationCost
from capratio.measure.observed_call import ObservedCall, Rule, held_bytes, is_sparse

# Modes of aten's embedding_bag.
_SUM, _MEAN = 0, 1


def _mm(call: ObservedCall) -> OperationCost:
    return call.cost(_product(call["self"], call["mat2"]))


def _bmm(call: ObservedCall) -> OperationCost:
    return call.cost(Flop(product=2 * call["self"].numel() * call["mat2"].shape[-1]))


def _addmm(call: ObservedCall) -> OperationCost:
    return call.cost(_product(call["mat1"], call["mat2"]) + _added(call))


def _product(left: torch.Tensor, right: torch.Tensor) -> Flop:
    """Of two matrices, one of which may be sparse."""
    if is_sparse(right):
        return Flop(product=2 * left.shape[0] * _stored(right))
    return Flop(product=2 * _stored(left) * right.shape[1])


def _stored(matrix: torch.Tensor) -> int:
    if not is_sparse(matrix):
        return matrix.numel()
    return (matrix._values() if matrix.layout == torch.sparse_coo else matrix.values()).numel()


def _baddbmm(call: ObservedCall) -> OperationCost:
    product = Flop(product=2 * call["batch1"].numel() * call["batch2"].shape[-1])
    return call.cost(product + _added(call))


def _addbmm(call: ObservedCall) -> OperationCost:
    batches = call["batch1"].shape[0]
    product = Flop(product=2 * call["batch1"].numel() * call["batch2"].shape[-1])
    summed = Flop(overhead=max(batches - 1, 0) * call.result.numel())
    return call.cost(product + summed + _added(call))


def _mv(call: ObservedCall) -> OperationCost:
    return call.cost(Flop(product=2 * _stored(call["self"])))


def _addmv(call: ObservedCall) -> OperationCost:
    return call.cost(Flop(product=2 * _stored(call["mat"])) + _added(call))


def _dot(call: ObservedCall) -> OperationCost:
    return call.cost(Flop(product=2 * call["self"].numel()))


def _addr(call: ObservedCall) -> OperationCost:
    return call.cost(Flop(product=2 * call.result.numel()) + _added(call))


def _linear(call: ObservedCall) -> OperationCost:
    weight, bias = call["weight"], call.result.numel() if call["bias"] is not None else 0
    rows = weight.shape[0] if weight.dim() == 2 else 1
    return call.cost(Flop(product=2 * call["input"].numel() * rows, bias=bias))


def _added(call: ObservedCall) -> Flop:
    """Adding ``self``, and the scalings: a vector over the last dimension is a bias, anything else overhead."""
    size, added = call.result.numel(), call["self"]
    alpha, beta = call.arguments.get("alpha", 1), call.arguments.get("beta", 1)
    scaled = (size if alpha != 1 else 0) + (added.numel() if beta not in (0, 1) else 0)
    if beta == 0:
        return Flop(overhead=scaled)
    if is_row(added, call.result):
        return Flop(bias=size, overhead=scaled)
    return Flop(overhead=size + scaled)


def is_row(tensor: torch.Tensor, out: torch.Tensor) -> bool:
    """Whether a tensor is one vector over the last dimension of a result, as a bias is.

    A (1, q) tensor is a batch of one token and no vector: its class must not change with the number of tokens.
    """
    return tensor.dim() == 1 and tensor.numel() == out.shape[-1]


def _grouped_mm(call: ObservedCall) -> OperationCost:
    """Products of groups: rows (or columns, or terms) past the last offset belong to no group and are not computed."""
    left, right, offsets = call["self"], call["mat2"], call["offs"]
    used = None if offsets is None else int(offsets[-1]) if offsets.numel() else 0
    if left.dim() == 2 and right.dim() == 3:
        flop, read = 2 * (used or 0) * left.shape[1] * right.shape[2], _visited_groups_bytes(left, right, offsets)
    elif left.dim() == 3 and right.dim() == 2:
        flop, read = 2 * left.shape[1] * left.shape[2] * (used or 0), call.read_bytes
    elif left.dim() == 2 and right.dim() == 2:
        flop, read = 2 * left.shape[0] * right.shape[1] * (used or 0), call.read_bytes
    else:
        flop, read = 2 * left.numel() * right.shape[2], call.read_bytes
    bias = call.result.numel() if call["bias"] is not None else 0
    return OperationCost(Flop(product=flop, bias=bias), 0, read, call.written_bytes)


def _visited_groups_bytes(left: torch.Tensor, right: torch.Tensor, offsets: torch.Tensor) -> int:
    """The rows that have a group, the matrices of groups that have rows, and the offsets."""
    ends = offsets.tolist()
    visited = sum(end > start for start, end in zip([0, *ends[:-1]], ends, strict=True))
    rows = ends[-1] if ends else 0
    matrix_bytes = right.shape[1] * right.shape[2] * right.element_size()
    return int(rows * left.shape[1] * left.element_size() + visited * matrix_bytes + held_bytes(offsets))


def _bag(call: ObservedCall) -> OperationCost:
    """n − 1 adds of q in a bag of n rows, and q multiplies a row where rows have weights: overhead, as sums of rows."""
    table, indices, mode = call["weight"], call["indices"], call["mode"]
    width, itemsize = table.shape[1], table.element_size()
    used = _used(indices, call["padding_idx"])
    bags = _filled_bags(call)
    read = used * width * itemsize + held_bytes(indices) + held_bytes(call["offsets"])
    if mode not in (_SUM, _MEAN):
        return OperationCost(Flop(), (used - bags) * width, read, call.written_bytes, used)
    overhead = (used - bags) * width
    if call["per_sample_weights"] is not None:
        overhead += used * width
        read += held_bytes(call["per_sample_weights"])
    if mode == _MEAN:
        overhead += bags * width
    return OperationCost(Flop(overhead=overhead), 0, read, call.written_bytes, used)


def _filled_bags(call: ObservedCall) -> int:
    """Bags with at least one row that is not padding."""
    indices, padding = call["indices"].reshape(-1).tolist(), call["padding_idx"]
    starts = call["offsets"].tolist()
    if call["include_last_offset"]:
        starts = starts[:-1]
    ends = [*starts[1:], len(indices)]
    return sum(any(index != padding for index in indices[a:b]) for a, b in zip(starts, ends, strict=True))


def _bag_backward(call: ObservedCall) -> OperationCost:
    """The dense gradient of the table: each used row is added into its own, scaled by its weight where there is one."""
    indices, width = call["indices"], call["grad"].shape[-1]
    used = _used(indices, call["padding_idx"])
    weighted = call["per_sample_weights"] is not None
    scaled = int(weighted) + int(call["mode"] == _MEAN)
    return call.cost(Flop(overhead=(1 + scaled) * used * width), rows=used)


def _bag_weights_backward(call: ObservedCall) -> OperationCost:
    """The gradient of the weights: for each row the sum of q products, 2 q − 1, overhead as the bag itself is."""
    used, width = _used(call["indices"], call["padding_idx"]), call["weight"].shape[1]
    rows_bytes = used * width * call["weight"].element_size()
    read = held_bytes(call["grad"]) + rows_bytes + held_bytes(call["indices"])
    return OperationCost(Flop(overhead=used * (2 * width - 1)), 0, read, call.written_bytes, used)


def _used(indices: torch.Tensor, padding: int) -> int:
    return indices.numel() if padding < 0 else int((indices != padding).sum())


def _convolution(call: ObservedCall) -> OperationCost:
    bias = call.result.numel() if call["bias"] is not None else 0
    return call.cost(Flop(product=_convolution_product(call, call.result), bias=bias))


def _convolution_backward(call: ObservedCall) -> OperationCost:
    """The gradients that were asked for: of the input and of the weight one product each, of the bias a sum."""
    grad, mask = call["grad_output"], call["output_mask"]
    product = (int(mask[0]) + int(mask[1])) * _convolution_product(call, grad)
    channels = grad.shape[1]
    bias = max(grad.numel() - channels, 0) if mask[2] else 0
    return call.cost(Flop(product=product, bias=bias))


def _convolution_product(call: ObservedCall, out: torch.Tensor) -> int:
    """Every output position (input position, if transposed) meets every weight of its group once."""
    weight = call["weight"]
    positions = call["input"] if call["transposed"] else out
    return int(2 * positions.shape[0] * prod(positions.shape[2:]) * weight.numel())


def _attention(call: ObservedCall) -> OperationCost:
    """Q Kᵀ and P V over all positions, masked or not, with the scaling and the softmax of the scores."""
    query, value = call["query"], call["value"]
    scores = _scores(call)
    product = 2 * scores * (query.shape[-1] + value.shape[-1])
    rows = scores // max(call["key"].shape[-2], 1)
    masked = scores if call.arguments.get("attn_mask") is not None else 0
    # The softmax subtracts the largest, takes the exponential, sums (n − 1 adds) and divides.
    return call.cost(Flop(product=product, overhead=scores + masked + 4 * scores - rows), routing=scores - rows)


def _attention_backward(call: ObservedCall) -> OperationCost:
    """The scores again, then the gradients of V, of the probabilities, of Q and of K: five products."""
    query, value = call["query"], call["value"]
    scores = _scores(call)
    product = 2 * scores * (3 * query.shape[-1] + 2 * value.shape[-1])
    rows = scores // max(call["key"].shape[-2], 1)
    deltas = 2 * rows * value.shape[-1] - rows
    # Scale, subtract the log-sum and exponentiate again; subtract the row's delta, multiply, scale.
    return call.cost(Flop(product=product, overhead=6 * scores + deltas))


def _scores(call: ObservedCall) -> int:
    query: Any = call["query"]
    return int(prod(query.shape[:-1]) * call["key"].shape[-2])


PRODUCT_RULES: dict[str, Rule] = {
    "aten::mm": _mm,
    "aten::bmm": _bmm,
    "aten::addmm": _addmm,
    "aten::baddbmm": _baddbmm,
    "aten::addbmm": _addbmm,
    "aten::mv": _mv,
    "aten::addmv": _addmv,
    "aten::dot": _dot,
    "aten::vdot": _dot,
    "aten::addr": _addr,
    "aten::linear": _linear,
    "aten::_grouped_mm": _grouped_mm,
    "aten::_embedding_bag": _bag,
    "aten::_embedding_bag_forward_only": _bag,
    "aten::_embedding_bag_backward": _bag_backward,
    "aten::_embedding_bag_dense_backward": _bag_backward,
    "aten::_embedding_bag_per_sample_weights_backward": _bag_weights_backward,
    "aten::convolution": _convolution,
    "aten::convolution_backward": _convolution_backward,
    "aten::_scaled_dot_product_flash_attention_for_cpu": _attention,
    "aten::_scaled_dot_product_flash_attention_for_cpu_backward": _attention_backward,
}

# Of one sparse factor, and no more.
RULES_OF_SPARSE = frozenset({"aten::mm", "aten::addmm", "aten::mv", "aten::addmv"})
