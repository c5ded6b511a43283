"""leaf_linear by a batched product, a peer: the matrix of every token is gathered, whatever that takes of memory."""

import psutil
import torch

from capratio.errors import InputError
from capratio.kernels.touched_rows import touched_rows

# Of the memory that is free; the rest is for the system and for the other tensors of the call.
SHARE_OF_FREE_MEMORY = 0.8


def leaf_linear(x: torch.Tensor, weight: torch.Tensor, node: torch.Tensor) -> torch.Tensor:
    """y_n = weight[node_n] x_n: (N, p), (R, q, p), (N,) -> (N, q).

    Raises InputError, before anything is allocated, where N matrices exceed the free memory; so do the gradients.
    """
    _check_memory(weight, len(node))
    # A view of the product would not let a layer add its bias in place.
    out = x.new_empty(len(x), weight.shape[1])
    torch.bmm(weight[node], x.unsqueeze(2), out=out.unsqueeze(2))
    return out


def leaf_linear_bias(x: torch.Tensor, weight: torch.Tensor, node: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """y_n = weight[node_n] x_n + bias: (N, p), (R, q, p), (N,), (q,) -> (N, q)."""
    return leaf_linear(x, weight, node).add_(bias)


def leaf_linear_input_gradient(grad: torch.Tensor, weight: torch.Tensor, node: torch.Tensor) -> torch.Tensor:
    """dx_n = weight[node_n]^T dy_n: (N, q), (R, q, p), (N,) -> (N, p)."""
    _check_memory(weight, len(node))
    return torch.bmm(weight[node].transpose(1, 2), grad.unsqueeze(2)).squeeze(2)


def leaf_linear_weight_gradient(grad: torch.Tensor, x: torch.Tensor, node: torch.Tensor, rows: int) -> torch.Tensor:
    """dW[r] = sum over the tokens n of node r of dy_n x_n^T: (N, q), (N, p), (N,) -> (rows, q, p)."""
    # The products of all tokens beside the gradient itself.
    outer = grad.new_empty(1, 1, 1).expand(rows, grad.shape[1], x.shape[1])
    _check_memory(outer, len(node) + rows)
    products = torch.bmm(grad.unsqueeze(2), x.unsqueeze(1))
    return torch.zeros_like(outer, memory_format=torch.contiguous_format).index_put_((node,), products, accumulate=True)


def leaf_linear_touched_gradient(
    grad: torch.Tensor, x: torch.Tensor, node: torch.Tensor, rows: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """The visited rows and their gradients, padded: (N, q), (N, p), (N,) -> (M,), (M, q, p), M = min(N, rows)."""
    indices, place = touched_rows(node, rows)
    return indices, leaf_linear_weight_gradient(grad, x, place, len(indices))


def _check_memory(matrices: torch.Tensor, count: int) -> None:
    needed = count * matrices[0].numel() * matrices.itemsize if len(matrices) else 0
    device = matrices.device
    free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else psutil.virtual_memory().available
    if needed > SHARE_OF_FREE_MEMORY * free:
        raise InputError(
            f"backend='gather-bmm' needs {needed / 2**30:.1f} GiB for the matrices of {count} tokens and "
            f"{free / 2**30:.1f} GiB are free; give fewer tokens or use another backend."
        )
