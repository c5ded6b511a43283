"""Sums of outer products, a node's tokens at a time: the gradient of every table of matrices on the CPU."""

import numpy as np
import torch

from capratio.kernels.cpu.compiling import array, use_torch_threads
from capratio.kernels.cpu.huge_pages import new_table
from capratio.kernels.cpu.node_groups import NodeGroups
from capratio.kernels.crossovers import CPU_CROSSOVERS
from capratio.kernels.leaf_linear.few_tokens import multiply_outer


def sum_outer_products(grad: torch.Tensor, x: torch.Tensor, groups: NodeGroups, rows: int) -> torch.Tensor:
    """The sum of each group's outer products in its row of (rows, q, p), and zeros in the others.

    grad: (N, q), x: (N, p), in the tokens' order.
    """
    incoming, inputs = groups.gather(grad), groups.gather(x)
    total = new_table(grad, rows, grad.shape[1], x.shape[1])
    if total.dtype == incoming.dtype:
        outer_products(incoming, inputs, groups, total)
    else:
        # Half types are summed in float32, of the visited rows alone.
        sums = new_table(incoming, len(groups.keys), *total.shape[1:])
        outer_products(incoming, inputs, groups._replace(keys=np.arange(len(groups.keys))), sums)
        total.zero_().index_copy_(0, torch.from_numpy(groups.keys), sums.to(total.dtype))
    return total


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
