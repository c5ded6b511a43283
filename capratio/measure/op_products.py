"""What products cost: 2 m n k FLOP for (m, k) by (k, n), of groups, convolutions and attention too."""

from math import prod

import torch

from capratio.cost.flop import Flop
from capratio.cost.operation import OperationCost
from capratio.measure.op_call import OpCall, Rule, is_row, stored_elements


def _product(left: str, right: str) -> Rule:
    """Each stored element of one side meets a row or a column of the other; ``self`` is added where it is neither."""

    def rule(call: OpCall) -> OperationCost:
        return call.cost(Flop(product=_matrix_product(call[left], call[right])) + _added(call, left))

    return rule


def _matrix_product(left: torch.Tensor, right: torch.Tensor) -> int:
    columns = right.shape[-1] if right.dim() > 1 else 1
    if right.layout != torch.strided and left.layout == torch.strided:
        return 2 * stored_elements(right) * prod(left.shape[:-1])
    return 2 * stored_elements(left) * columns


def _added(call: OpCall, left: str) -> Flop:
    """beta · self + alpha · product: a row is a bias, and factors that are not 1 are overhead."""
    if left == "self":
        return Flop()
    size, added, alpha, beta = call.result.numel(), call["self"], call.get("alpha", 1), call.get("beta", 1)
    scaled = (alpha != 1) * size + (beta not in (0, 1)) * added.numel()
    if beta == 0:
        return Flop(overhead=scaled)
    return Flop(bias=size, overhead=scaled) if is_row(added, call.result) else Flop(overhead=scaled + size)


def _addbmm(call: OpCall) -> OperationCost:
    """A sum of b products: b − 1 adds of matrices beside them."""
    left, right = call["batch1"], call["batch2"]
    summed = max(left.shape[0] - 1, 0) * call.result.numel()
    return call.cost(Flop(product=_matrix_product(left, right), overhead=summed) + _added(call, "batch1"))


def _outer(call: OpCall) -> OperationCost:
    return call.cost(Flop(product=2 * call.result.numel()) + _added(call, "vec1"))


def _linear(call: OpCall) -> OperationCost:
    product = 2 * call["input"].numel() * (call["weight"].shape[0] if call["weight"].dim() > 1 else 1)
    return call.cost(Flop(product=product, bias=0 if call["bias"] is None else call.result.numel()))


def _grouped(call: OpCall) -> OperationCost:
    """Groups of rows, columns or terms end at the offsets; what is past the last belongs to none and is not computed."""
    left, right, offsets = call["self"], call["mat2"], call["offs"]
    used = 0 if offsets is None or offsets.numel() == 0 else int(offsets[-1])
    if left.dim() == 3 and right.dim() == 3:
        product = 2 * left.numel() * right.shape[2]
    elif left.dim() == 2 and right.dim() == 3:
        product = 2 * used * left.shape[1] * right.shape[2]
    elif left.dim() == 3:
        product = 2 * left.shape[1] * left.shape[2] * used
    else:
        product = 2 * left.shape[0] * used * right.shape[1]
    return call.cost(Flop(product=product, bias=0 if call["bias"] is None else call.result.numel()))


def _convolution(call: OpCall) -> OperationCost:
    bias = 0 if call["bias"] is None else call.result.numel()
    return call.cost(Flop(product=_positions(call, call.result), bias=bias))


def _convolution_backward(call: OpCall) -> OperationCost:
    """One product each for the gradients of input and weight, and a sum for the bias's, as they are asked for."""
    grad, (to_input, to_weight, to_bias) = call["grad_output"], call["output_mask"]
    bias = max(grad.numel() - grad.shape[1], 0) if to_bias else 0
    return call.cost(Flop(product=(to_input + to_weight) * _positions(call, grad), bias=bias))


def _positions(call: OpCall, out: torch.Tensor) -> int:
    """Each position of the output (of the input, if transposed) meets every weight of its group once."""
    at = call["input"] if call["transposed"] else out
    return int(2 * at.shape[0] * prod(at.shape[2:]) * call["weight"].numel())


def _attention(call: OpCall) -> OperationCost:
    """Q Kᵀ and P V over all positions, masked ones too; a score is scaled, and the softmax takes 4 steps of it."""
    scores, query, value = _scores(call), call["query"], call["value"]
    product = 2 * scores * (query.shape[-1] + value.shape[-1])
    return call.cost(Flop(product=product, overhead=5 * scores))


def _attention_backward(call: OpCall) -> OperationCost:
    """The scores again, and a product each for the gradients of V, P, Q and K; 5 steps of softmax for each score."""
    scores, query, value = _scores(call), call["query"], call["value"]
    product = 2 * scores * (3 * query.shape[-1] + 2 * value.shape[-1])
    return call.cost(Flop(product=product, overhead=5 * scores))


def _scores(call: OpCall) -> int:
    """Elements of Q Kᵀ."""
    return int(prod(call["query"].shape[:-1]) * call["key"].shape[-2])


_ATTENTION = ("flash_attention_for_cpu", "flash_attention", "efficient_attention", "cudnn_attention")

PRODUCT_RULES: dict[str, Rule] = {
    **dict.fromkeys(("mm", "bmm", "_int_mm"), _product("self", "mat2")),
    "mv": _product("self", "vec"),
    "dot": _product("self", "tensor"),
    "vdot": _product("self", "other"),
    "addmm": _product("mat1", "mat2"),
    "_addmm_activation": _product("mat1", "mat2"),
    "baddbmm": _product("batch1", "batch2"),
    "addmv": _product("mat", "vec"),
    "addbmm": _addbmm,
    "addr": _outer,
    "linear": _linear,
    "_grouped_mm": _grouped,
    "convolution": _convolution,
    "convolution_backward": _convolution_backward,
    **{f"_scaled_dot_product_{kind}": _attention for kind in _ATTENTION},
    **{f"_scaled_dot_product_{kind}_backward": _attention_backward for kind in _ATTENTION},
}
