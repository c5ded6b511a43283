"""leaf_linear on the CPU: groups with few tokens by compiled kernels, groups with many by the library's product."""

from typing import NamedTuple

import numpy as np
import torch

from capratio.kernels.compiling import array, use_torch_threads
from capratio.kernels.crossovers import CPU_CROSSOVERS
from capratio.kernels.leaf_linear.few_tokens import multiply, multiply_outer, multiply_transposed
from capratio.kernels.precision import product_dtype
from capratio.kernels.sorting import sort_by_key


class _Groups(NamedTuple):
    """Tokens sorted by node: (N,), and of each visited node its row, and where its tokens begin and end."""

    order: np.ndarray
    keys: np.ndarray
    begins: np.ndarray
    ends: np.ndarray

    def gather(self, rows: torch.Tensor) -> torch.Tensor:
        """The tokens' rows in sorted order, in the dtype of sums."""
        wide = rows.detach().to(product_dtype(rows))
        return wide if len(wide) == 1 else wide.index_select(0, torch.from_numpy(self.order))

    def split(self, from_tokens: int) -> "tuple[_Groups, _Groups]":
        """The groups of fewer tokens, and those of so many or more."""
        many = self.ends - self.begins >= from_tokens
        if not many.any():
            return self, self._only(many)
        return self._only(~many), self._only(many)

    def _only(self, chosen: np.ndarray) -> "_Groups":
        return _Groups(self.order, self.keys[chosen], self.begins[chosen], self.ends[chosen])


_ONE_TOKEN = np.zeros(1, np.int64), np.ones(1, np.int64)


def leaf_linear(x: torch.Tensor, weight: torch.Tensor, node: torch.Tensor) -> torch.Tensor:
    """y_n = weight[node_n] x_n: (N, p), (R, q, p), (N,) -> (N, q)."""
    groups = _group(node, len(weight))
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
    groups = _group(node, len(weight))
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
    groups = _group(node, rows)
    incoming, inputs = groups.gather(grad), groups.gather(x)
    total = grad.new_empty(rows, grad.shape[1], x.shape[1])
    if total.dtype == incoming.dtype:
        _outer_products(incoming, inputs, groups, np.arange(rows), total)
    else:
        # Half types are summed in float32, of the visited rows alone.
        sums = incoming.new_empty(len(groups.keys), *total.shape[1:])
        places = np.arange(len(groups.keys))
        _outer_products(incoming, inputs, groups._replace(keys=places), places, sums)
        total.zero_().index_copy_(0, torch.from_numpy(groups.keys), sums.to(total.dtype))
    return total


def _outer_products(
    incoming: torch.Tensor, inputs: torch.Tensor, groups: _Groups, rows: np.ndarray, total: torch.Tensor
) -> None:
    """Write every row of ``total``: the sum of its group's outer products, or zeros."""
    few, many = groups.split(CPU_CROSSOVERS.library_product_from_tokens)
    begins, ends = np.zeros(len(rows), np.int64), np.zeros(len(rows), np.int64)
    begins[few.keys], ends[few.keys] = few.begins, few.ends
    written = np.delete(rows, many.keys)
    use_torch_threads()
    multiply_outer(array(incoming), array(inputs), begins[written], ends[written], written, array(total))
    for row, begin, end in zip(many.keys.tolist(), many.begins.tolist(), many.ends.tolist(), strict=True):
        torch.mm(incoming[begin:end].t(), inputs[begin:end], out=total[row])


def _group(node: torch.Tensor, rows: int) -> _Groups:
    keys = array(node)
    if len(keys) == 1:
        return _Groups(_ONE_TOKEN[0], keys, *_ONE_TOKEN)
    order, keys, starts = sort_by_key(keys, rows)
    return _Groups(order, keys, starts[:-1], starts[1:])


def _multiply_many(inputs: torch.Tensor, matrices: torch.Tensor, groups: _Groups, out: torch.Tensor) -> None:
    order = torch.from_numpy(groups.order)
    for row, begin, end in zip(groups.keys.tolist(), groups.begins.tolist(), groups.ends.tolist(), strict=True):
        product = torch.mm(inputs[begin:end], matrices[row].to(inputs.dtype))
        out.index_copy_(0, order[begin:end], product)
