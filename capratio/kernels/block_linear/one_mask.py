"""block_linear of a batch whose tokens share their masks: one product of the live rows and columns, gathered."""

from typing import NamedTuple

import torch

from capratio.kernels.block_linear.live_lists import all_rows_equal
from capratio.kernels.cpu.compiling import array
from capratio.kernels.leaf_linear.cpu import leaf_linear, leaf_linear_input_gradient, leaf_linear_weight_gradient

# Fewer tokens are not worth gathering the matrix.
FEWEST_TOKENS = 64


class SharedMasks(NamedTuple):
    """The live blocks of all tokens, and how many there are. blocks_in, blocks_out: int64, ascending."""

    blocks_in: torch.Tensor
    blocks_out: torch.Tensor
    in_blocks: int
    out_blocks: int

    def multiply(self, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        """((x M_in) W^T + b) M_out: (N, p), (q, p), (q,) -> (N, q)."""
        out = leaf_linear(_columns(x, self.blocks_in, self.in_blocks), self._matrix(weight), _one_node(x))
        if bias is not None:
            out += _columns(bias.unsqueeze(0), self.blocks_out, self.out_blocks)
        return _spread(out, self.blocks_out, self.out_blocks, len(weight))

    def multiply_transposed(self, grad: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """((dy M_out) W) M_in: (N, q), (q, p) -> (N, p)."""
        rows = _columns(grad, self.blocks_out, self.out_blocks)
        out = leaf_linear_input_gradient(rows, self._matrix(weight), _one_node(grad))
        return _spread(out, self.blocks_in, self.in_blocks, weight.shape[1])

    def weight_gradient(self, grad: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """Of dW = (dy M_out)^T (x M_in) the live blocks: (N, q), (N, p) -> (n_out, q / B_out, n_in, p / B_in)."""
        rows, columns = _columns(grad, self.blocks_out, self.out_blocks), _columns(x, self.blocks_in, self.in_blocks)
        matrix = leaf_linear_weight_gradient(rows, columns, _one_node(x), 1)
        return matrix.view(
            len(self.blocks_out), grad.shape[1] // self.out_blocks, len(self.blocks_in), x.shape[1] // self.in_blocks
        )

    def _matrix(self, weight: torch.Tensor) -> torch.Tensor:
        """The live rows and columns, as a table of one matrix: (q, p) -> (1, q_live, p_live)."""
        blocks = weight.reshape(self.out_blocks, len(weight) // self.out_blocks, weight.shape[1])
        rows = blocks.index_select(0, self.blocks_out).flatten(0, 1)
        return _columns(rows, self.blocks_in, self.in_blocks).unsqueeze(0)


def shared_masks(live_in: torch.Tensor, live_out: torch.Tensor) -> SharedMasks | None:
    """The masks that all tokens have, or None where they differ, nothing is live or tokens are few.

    live_in: (N, B_in). live_out: (N, B_out).
    """
    if len(live_in) < FEWEST_TOKENS or not (all_rows_equal(array(live_in)) and all_rows_equal(array(live_out))):
        return None
    blocks_in, blocks_out = (live[0].nonzero().squeeze(1) for live in (live_in, live_out))
    if len(blocks_in) == 0 or len(blocks_out) == 0:
        return None
    return SharedMasks(blocks_in, blocks_out, live_in.shape[1], live_out.shape[1])


def _columns(rows: torch.Tensor, live: torch.Tensor, blocks: int) -> torch.Tensor:
    """The columns of live blocks, side by side: (n, features) -> (n, live features)."""
    return rows.reshape(len(rows), blocks, rows.shape[1] // blocks).index_select(1, live).flatten(1)


def _spread(rows: torch.Tensor, live: torch.Tensor, blocks: int, features: int) -> torch.Tensor:
    """Columns put back to their blocks, zeros in the others: (n, live features) -> (n, features)."""
    out = rows.new_zeros(len(rows), blocks, features // blocks)
    out.index_copy_(1, live, rows.view(len(rows), len(live), features // blocks))
    return out.flatten(1)


def _one_node(rows: torch.Tensor) -> torch.Tensor:
    return torch.zeros(len(rows), dtype=torch.int64)
