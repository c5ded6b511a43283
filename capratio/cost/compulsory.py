"""The bytes that a call must move at least: everything that it touches, once."""

from capratio.cost.gates import gate_index_bytes
from capratio.cost.parameters import (
    bias_parameters,
    touched_parameters,
    touched_weight_parameters,
    weight_parameters,
)
from capratio.cost.spec import PASSES, LayerSpec, VisitedNodes
from capratio.errors import InputError


def compulsory_bytes(spec: LayerSpec, visited: VisitedNodes, pass_: str, itemsize: int) -> int:
    """Bytes that must cross the memory interface once, however the layer is implemented.

    All but train: (N p + touched parameters + N q) s, and the gate's index buffer. train: the same, the output's
    gradient read (N q s), the input's gradient written (N p s), and the gradients of weights and bias written: all of
    their elements s (touched or not), or those of the visited rows alone where the weight gradient is ``touched``.
    Temporaries could stay in a cache and bits in registers, so they are not counted, nor are the numbers of touched
    rows, 8 bytes beside each row.

    Args: visited: the nodes that the batch visits. pass_: one of ``PASSES``. itemsize s: bytes of an element.

    Raises InputError for visited nodes that no batch can have, another pass, or an itemsize under 1.
    """
    if pass_ not in PASSES:
        raise InputError(f"pass={pass_!r} is not known; it must be one of {', '.join(PASSES)}.")
    if itemsize < 1:
        raise InputError(f"itemsize={itemsize} was given; an element has at least 1 byte.")
    token_elements = visited.tokens * (spec.in_features + spec.out_features)
    elements = token_elements + touched_parameters(spec, visited)
    if pass_ == "train":
        written = touched_weight_parameters(spec, visited) if spec.touched_gradient else weight_parameters(spec)
        elements += token_elements + written + bias_parameters(spec)
    return elements * itemsize + gate_index_bytes(spec) * min(visited.tokens, 1)
