"""What arithmetic outside of products costs: element by element, reductions, normalisations, scattered adds.

A multiply, an add, a division or one transcendental function (exp, tanh, sqrt, …) of an element is 1 FLOP; a fused
function costs the steps of its definition. A compare or a choice is 1 routing operation and no FLOP. Floating-point
arithmetic is overhead, arithmetic on integers and booleans routing. A vector added to every row is bias, and so is
summing all rows to one, which is its gradient. A sum of n terms costs n − 1 adds.
"""

from math import prod

import torch

from capratio.cost.flop import Flop
from capratio.cost.op_formulas.routing import sort_operations
from capratio.cost.operation import OperationCost
from capratio.measure.observed_call import ObservedCall, Rule, tensors
from capratio.measure.product_rules import is_row

# One FLOP for each element of the result.
SINGLE = (
    "mul div true_divide remainder fmod floor_divide neg square reciprocal pow exp exp2 expm1 log log2 log10 log1p "
    "sqrt rsqrt sin cos tan tanh sigmoid erf erfc atan2 rsub"
)

# FLOP of one element of the result, where it takes several.
FUSED = {
    # a + value · b · c, a + value · (b / c), a + w · (b − a)
    "addcmul": 2,
    "addcdiv": 2,
    "lerp": 3,
    # x · sigmoid(x), and g · (s + x s (1 − s)) with s = sigmoid(x)
    "silu": 2,
    "silu_backward": 6,
    # x · Φ(x) = x · (1 + erf(x / √2)) / 2, and its derivative Φ(x) + x φ(x) with φ(x) = c · exp(−x² / 2), times g
    "gelu": 5,
    "gelu_backward": 11,
    # g · y · (1 − y), g · (1 − y²)
    "sigmoid_backward": 3,
    "tanh_backward": 3,
    # log(1 + exp(x)), g · sigmoid(x)
    "softplus": 3,
    "softplus_backward": 2,
    # The scaling by 1 / (1 − p) and the mask
    "native_dropout": 2,
    "native_dropout_backward": 2,
    "mse_loss_backward": 3,
}

# Routing operations of one element of the result: compares, choices and the arithmetic of bits and indices.
COMPARED = (
    "eq ne lt le gt ge isnan isinf isfinite logical_and logical_or logical_not logical_xor signbit sign abs "
    "maximum minimum fmax fmin clamp clamp_min clamp_max relu hardtanh threshold threshold_backward leaky_relu where "
    "bitwise_and bitwise_or bitwise_xor bitwise_not bitwise_left_shift bitwise_right_shift __and__ __or__ __xor__ "
    "__lshift__ __rshift__ __ilshift__ __irshift__ floor ceil round trunc masked_fill isin"
)

# Compares of a reduction: n − 1 for n elements.
EXTREMES = "amax amin argmax argmin max min aminmax any all"


def _elementwise(flop: int) -> Rule:
    return lambda call: call.arithmetic(flop * call.result.numel())


def _compared(call: ObservedCall) -> OperationCost:
    return call.cost(routing=call.result.numel())


def _add(call: ObservedCall) -> OperationCost:
    size = call.result.numel()
    scaled = size if call.arguments.get("alpha", 1) != 1 else 0
    operands = list(tensors([call["self"], call["other"]]))
    bias = call.floating and call.result.dim() > 1 and any(is_row(operand, call.result) for operand in operands)
    return call.cost(Flop(bias=size, overhead=scaled)) if bias else call.arithmetic(size + scaled)


def _sum(call: ObservedCall) -> OperationCost:
    given, adds = call["self"], _adds(call["self"], call.result)
    dims = call.arguments.get("dim")
    if call.floating and given.dim() > 1 and dims and {d % given.dim() for d in dims} == set(range(given.dim() - 1)):
        return call.cost(Flop(bias=adds))
    # Booleans are summed as integers.
    return call.arithmetic(adds)


def _adds(given: torch.Tensor, out: torch.Tensor) -> int:
    return max(given.numel() - out.numel(), 0)


def _mean(call: ObservedCall) -> OperationCost:
    return call.arithmetic(_adds(call["self"], call.result) + call.result.numel())


def _variance(call: ObservedCall) -> OperationCost:
    """The mean (n), n subtractions, n squares, n − 1 adds, one division; a root where it is asked for."""
    n, m = call["self"].numel(), call.result.numel()
    return call.arithmetic(4 * n if m else 0)


def _norm(call: ObservedCall) -> OperationCost:
    return call.arithmetic(2 * call["self"].numel())


def _extreme(call: ObservedCall) -> OperationCost:
    # max and min of two tensors are element by element.
    if call.arguments.get("other") is not None:
        return _compared(call)
    return call.cost(routing=_adds(call["self"], call.result))


def _running(call: ObservedCall) -> OperationCost:
    given = call["self"]
    length = given.shape[call["dim"]] if given.dim() else 1
    return call.arithmetic(given.numel() // length * (length - 1) if length else 0)


def _softmax(call: ObservedCall) -> OperationCost:
    """Subtract the largest, exponentiate, sum (n − 1), divide: 4 n − 1 a row, and its n − 1 compares."""
    n, rows = _rows(call)
    return call.cost(Flop(overhead=4 * n - rows), routing=n - rows)


def _log_softmax(call: ObservedCall) -> OperationCost:
    """Subtract the largest, exponentiate, sum (n − 1), one logarithm, subtract it: 4 n a row; n − 1 compares."""
    n, rows = _rows(call)
    return call.cost(Flop(overhead=4 * n), routing=n - rows)


def _softmax_backward(call: ObservedCall) -> OperationCost:
    """y · (g − Σ g y): 4 n − 1 a row; the gradient of the logarithm, g − exp(y) Σ g, has as many steps."""
    n, rows = _rows(call)
    return call.cost(Flop(overhead=4 * n - rows))


def _rows(call: ObservedCall) -> tuple[int, int]:
    given = call.result
    length = given.shape[call["dim"]] if given.dim() else 1
    return given.numel(), given.numel() // length if length else 0


def _layer_norm(call: ObservedCall) -> OperationCost:
    """Mean (n), differences (n), squares (n), their mean (n), epsilon and root (2), scale (n), weight (n), bias (n)."""
    given, length = call["input"], prod(call["normalized_shape"])
    n, rows = given.numel(), given.numel() // length if length else 0
    affine = n * ((call["weight"] is not None) + (call["bias"] is not None))
    return call.cost(Flop(overhead=5 * n + 2 * rows + affine))


def _mse_loss(call: ObservedCall) -> OperationCost:
    """Differences and squares; then a sum, and a division for the mean (reduction 1)."""
    n = call["self"].numel()
    reduced = {0: 0, 1: n, 2: max(n - 1, 0)}[call["reduction"]]
    return call.arithmetic(2 * n + reduced)


def _scattered(source: str) -> Rule:
    """Each element of the argument ``source`` is added into its place, scaled where alpha is not 1."""

    def rule(call: ObservedCall) -> OperationCost:
        added = call[source].numel()
        scaled = added if call.arguments.get("alpha", 1) != 1 else 0
        flop, routing = (added + scaled, 0) if call.floating else (0, added + scaled)
        return call.cost(Flop(overhead=flop), routing, _indexed_rows(call))

    return rule


def _indexed_rows(call: ObservedCall) -> int:
    index = call.arguments.get("index", call.arguments.get("indices"))
    return int(index.numel()) if isinstance(index, torch.Tensor) else 0


def _scatter_add(call: ObservedCall) -> OperationCost:
    """As many elements as the index has are added; the source may be larger."""
    added = call["index"].numel()
    return call.cost(Flop(overhead=added), 0, added) if call.floating else call.cost(routing=added, rows=added)


def _sort(call: ObservedCall) -> OperationCost:
    given, dim = call["self"], call.arguments.get("dim", -1)
    length = given.shape[dim] if given.dim() else 1
    return call.cost(routing=given.numel() // length * sort_operations(length) if length else 0)


def _unique(call: ObservedCall) -> OperationCost:
    return call.cost(routing=sort_operations(call["self"].numel()))


def _searched(call: ObservedCall) -> OperationCost:
    """A binary search of each value."""
    bounds = call.arguments.get("sorted_sequence", call.arguments.get("boundaries"))
    steps = bounds.shape[-1].bit_length() if isinstance(bounds, torch.Tensor) else 0
    return call.cost(routing=call.result.numel() * steps)


def _each_given(call: ObservedCall) -> OperationCost:
    return call.cost(routing=call["self"].numel())


def _table() -> dict[str, Rule]:
    rules: dict[str, Rule] = {f"aten::{name}": _elementwise(1) for name in SINGLE.split()}
    rules |= {f"aten::{name}": _elementwise(flop) for name, flop in FUSED.items()}
    rules |= {f"aten::{name}": _compared for name in COMPARED.split()}
    rules |= {f"aten::{name}": _extreme for name in EXTREMES.split()}
    return rules


ARITHMETIC_RULES: dict[str, Rule] = {
    **_table(),
    "aten::add": _add,
    "aten::sub": _add,
    "aten::sum": _sum,
    "aten::mean": _mean,
    "aten::prod": lambda call: call.arithmetic(_adds(call["self"], call.result)),
    "aten::var": _variance,
    "aten::std": _variance,
    "aten::var_mean": _variance,
    "aten::linalg_vector_norm": _norm,
    "aten::cumsum": _running,
    "aten::cumprod": _running,
    "aten::_softmax": _softmax,
    "aten::_log_softmax": _log_softmax,
    "aten::_softmax_backward_data": _softmax_backward,
    "aten::_log_softmax_backward_data": _softmax_backward,
    "aten::native_layer_norm": _layer_norm,
    "aten::mse_loss": _mse_loss,
    "aten::index_add": _scattered("source"),
    "aten::embedding_dense_backward": _scattered("grad_output"),
    "aten::scatter_add": _scatter_add,
    "aten::sort": _sort,
    "aten::topk": _sort,
    "aten::unique_consecutive": _each_given,
    "aten::_unique2": _unique,
    "aten::bincount": _each_given,
    "aten::nonzero": _each_given,
    "aten::equal": _each_given,
    "aten::searchsorted": _searched,
    "aten::bucketize": _searched,
}
