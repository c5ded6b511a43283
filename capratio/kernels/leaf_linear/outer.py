"""Sums of outer products, a node's tokens at a time: the gradient of every table of matrices on the CPU."""

import numpy as np
import torch

from capratio.kernels.compiling import array, use_torch_threads
from capratio.kernels.crossovers import CPU_CROSSOVERS
from capratio.kernels.leaf_linear.few_tokens import multiply_outer
from capratio.kernels.node_groups import NodeGroups


def outer_products(incoming: torch.Tensor, inputs: torch.Tensor, groups: NodeGroups, total: torch.Tensor) -> None:
    """Write every row of ``total`` (R, q, p): the sum of its group's outer products, or zeros.

    incoming: (N, q), inputs: (N, p), in sorted order.
    """
    few, many = groups.split(CPU_CROSSOVERS.library_outer_from_tokens)
    written = np.delete(np.arange(len(total)), many.keys)
    begins, ends = few.ranges(len(total))
    use_torch_threads()
    multiply_outer(array(incoming), array(inputs), begins[written], ends[written], written, array(total))
    for row, begin, end in zip(many.keys.tolist(), many.begins.tolist(), many.ends.tolist(), strict=True):
        torch.mm(incoming[begin:end].t(), inputs[begin:end], out=total[row])
