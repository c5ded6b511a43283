"""The compiled kernel of nodes that are applied level by level: each visited node is read once, for all its tokens."""

from typing import Any

import numpy as np

from capratio.kernels.cpu.compiling import compile_kernel
from capratio.kernels.leaf_linear.few_tokens import multiply, multiply_transposed


@compile_kernel
def multiply_levels(
    rows: Any, weight: Any, depth: int, transposed: bool, order: Any, leaves: Any, starts: Any, out: Any
) -> None:
    """out[n] = sum over l of weight[node_l] rows[n], or of its transpose, for the tokens n of the leaf of group g.

    The tokens of group g are order[starts[g]:starts[g + 1]]. rows: (N, i). weight: (2^(k+1) - 1, q, p), half types as
    bits. leaves: (G,), ascending. out: (N, o), all of it written.
    """
    keys, begins, ends = np.empty_like(leaves), np.empty_like(leaves), np.empty_like(leaves)
    products = np.empty_like(out)
    for level in range(depth + 1):
        nodes = 0
        for group in range(leaves.shape[0]):
            node = (1 << level) - 1 + (leaves[group] >> (depth - level))
            if nodes == 0 or keys[nodes - 1] != node:
                keys[nodes], begins[nodes] = node, starts[group]
                nodes += 1
            ends[nodes - 1] = starts[group + 1]
        target = out if level == 0 else products
        if transposed:
            multiply_transposed(rows, weight, order, keys[:nodes], begins[:nodes], ends[:nodes], target)
        else:
            multiply(rows, weight, order, keys[:nodes], begins[:nodes], ends[:nodes], target)
        if level > 0:
            out += products
