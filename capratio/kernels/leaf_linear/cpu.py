"""leaf_linear on the CPU: groups with few tokens by compiled kernels, groups with many by the library's product."""

import numpy as np
import torch

from capratio.kernels.compiling import array, use_torch_threads
from capratio.kernels.crossovers import CPU_CROSSOVERS
from capratio.kernels.huge_pages import new_table
from capratio.kernels.leaf_linear.few_tokens import multiply, multiply_transposed
from capratio.kernels.leaf_linear.outer import outer_products
from capratio.kernels.precision import product_dtype
from capratio.kernels.sorted_tokens import SortedTokens, sort_tokens

_FIRST, _ONE = np.zeros(1, np.int64), np.ones(1, np.int64)


def leaf_linear(x: torch.Tensor, weight: torch.Tensor, node: torch.Tensor) -> torch.Tensor:
    """y_n = weight[node_n] x_n: (N, p), (R, q, p), (N,) -> (N, q)."""
    if len(x) == 1:
        return _multiply_one(x, weight, node)
    groups = sort_tokens(node, len(weight))
    inputs = groups.gather(x)
    out = inputs.new_empty(len(x), weight.shape[1])
    few, many = groups.split(CPU_CROSSOVERS.library_product_from_tokens)
    if len(few.keys):
        use_torch_threads()
        multiply(array(inputs), array(weight), *few, array(out))
    _multiply_many(inputs, weight.transpose(1, 2), many, out)
    return out.to(x.dtype)


def leaf_linear_input_gradient(grad: torch.Tensor, weight: torch.Tensor, node: torch.Tensor) -> torch.Tensor:
    """dx_n = weight[node_n]^T dy_n: (N, q), (R, q, p), (N,) -> (N, p)."""
    groups = sort_tokens(node, len(weight))
    incoming = groups.gather(grad)
    out = incoming.new_empty(len(grad), weight.shape[2])
    few, many = groups.split(CPU_CROSSOVERS.library_product_from_tokens)
    if len(few.keys):
        use_torch_threads()
        multiply_transposed(array(incoming), array(weight), *few, array(out))
    _multiply_many(incoming, weight, many, out)
    return out.to(grad.dtype)


def leaf_linear_weight_gradient(grad: torch.Tensor, x: torch.Tensor, node: torch.Tensor, rows: int) -> torch.Tensor:
    """dW[r] = sum over the tokens n of node r of dy_n x_n^T: (N, q), (N, p), (N,) -> (rows, q, p)."""
    groups = sort_tokens(node, rows)
    incoming, inputs = groups.gather(grad), groups.gather(x)
    total = new_table(grad, rows, grad.shape[1], x.shape[1])
    if total.dtype == incoming.dtype:
        outer_products(incoming, inputs, groups, np.arange(rows), total)
    else:
        # Half types are summed in float32, of the visited rows alone.
        sums = new_table(incoming, len(groups.keys), *total.shape[1:])
        places = np.arange(len(groups.keys))
        outer_products(incoming, inputs, groups._replace(keys=places), places, sums)
        total.zero_().index_copy_(0, torch.from_numpy(groups.keys), sums.to(total.dtype))
    return total


def _multiply_one(x: torch.Tensor, weight: torch.Tensor, node: torch.Tensor) -> torch.Tensor:
    """One token needs no sorting, which would take as long as a small product."""
    wide = x.to(product_dtype(x))
    out = wide.new_empty(1, weight.shape[1])
    use_torch_threads()
    multiply(array(wide), array(weight), _FIRST, array(node), _FIRST, _ONE, array(out))
    return out.to(x.dtype)


def _multiply_many(inputs: torch.Tensor, matrices: torch.Tensor, groups: SortedTokens, out: torch.Tensor) -> None:
    order = torch.from_numpy(groups.order)
    for row, begin, end in zip(groups.keys.tolist(), groups.begins.tolist(), groups.ends.tolist(), strict=True):
        product = torch.mm(inputs[begin:end], matrices[row].to(inputs.dtype))
        out.index_copy_(0, order[begin:end], product)
