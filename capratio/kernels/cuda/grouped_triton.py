"""Tokens times the matrices of their groups on a GPU: which blocks, which tiles, and what starts.

A group's matrix is the sum of the rows of a path: of depth 0 the one row of its key, else the k + 1 nodes of the leaf
that is its key, added in float32 where they are loaded.
"""

from typing import Any

import torch
import triton

from capratio.kernels.cuda import cuda_blocks
from capratio.kernels.cuda.compiling_triton import on_device
from capratio.kernels.cuda.cuda_blocks import ProductBlocks
from capratio.kernels.cuda.matrix_descriptor import NOT_DESCRIBED, TRANSPOSED, describe
from capratio.kernels.cuda.product_triton import matrix_product, vector_product
from capratio.kernels.cuda.tiles_triton import Tiles, tile_order, tile_tokens, untiled
from capratio.kernels.cuda.token_tiles import TokenOrder

# Tiles of so many tokens shrink to a half or a quarter where a group has no more; wgmma takes no fewer than 8 tokens.
SHRUNK_FROM = 64


def multiply(
    x: torch.Tensor, matrices: torch.Tensor, key: torch.Tensor, depth: int = 0, bias: torch.Tensor | None = None
) -> torch.Tensor:
    """out_n = (sum over l of matrices[row_l(key_n)]) x_n + bias: (N, i), (R, o, i) of any strides, (N,) -> (N, o).

    Raises InputError for a dtype that has no blocks.
    """
    out = x.new_empty(len(x), matrices.shape[1])
    groups = 2**depth if depth else len(matrices)
    blocks = cuda_blocks.pick_product(x.itemsize, len(x), groups, out.shape[1])
    few = len(x) <= cuda_blocks.CUDA_BLOCKS.unsorted_up_to_tokens
    tiles = untiled(key) if few else tile_tokens(key, blocks.tokens, groups)
    _launch(out, x, matrices, tiles, blocks, depth=depth, bias=bias, sorted_=not few)
    return out


def add_products(out: torch.Tensor, x: torch.Tensor, matrices: torch.Tensor, tokens: TokenOrder) -> None:
    """out_n += matrices[key_n] x_n of sorted tokens, with out (N, o) contiguous, in float32.

    Raises InputError for a dtype that has no blocks.
    """
    blocks = cuda_blocks.pick_product(x.itemsize, len(x), len(matrices), out.shape[1])
    _launch(out, x, matrices, tile_order(tokens, blocks.tokens, len(matrices)), blocks, add=True)


def _launch(
    out: torch.Tensor,
    x: torch.Tensor,
    matrices: torch.Tensor,
    tiles: Tiles,
    blocks: ProductBlocks,
    *,
    depth: int = 0,
    bias: torch.Tensor | None = None,
    add: bool = False,
    sorted_: bool = True,
) -> None:
    if out.numel() == 0:
        return
    count, inputs = x.shape
    vector = blocks.method == "vector"
    by_outputs = vector and matrices.stride(2) == 1
    outputs_at_once, inputs_at_once = (blocks.across, blocks.along) if by_outputs else (blocks.along, blocks.across)
    options = {} if vector else _matrix_options(matrices, blocks, depth)
    kernel = vector_product if vector else matrix_product
    with on_device(x):
        kernel[(len(tiles.begins) * triton.cdiv(out.shape[1], outputs_at_once),)](
            x,
            matrices,
            tiles.order,
            tiles.keys,
            tiles.begins,
            out if bias is None else bias.contiguous(),
            out,
            count,
            out.shape[1],
            inputs,
            *x.stride(),
            *matrices.stride(),
            **options,
            SORTED=sorted_,
            DEPTH=depth,
            BIASED=bias is not None,
            ADD=add,
            BLOCK_TOKENS=1 if vector and not sorted_ else blocks.tokens,
            BLOCK_OUTPUTS=outputs_at_once,
            BLOCK_INPUTS=inputs_at_once,
            num_warps=blocks.warps,
            num_stages=blocks.stages,
        )


def _matrix_options(matrices: torch.Tensor, blocks: ProductBlocks, depth: int) -> dict[str, Any]:
    """What the matrix product takes beside what both take: how matrices are loaded, and how far tiles may shrink."""
    whole = matrices.shape[2] % blocks.across == 0
    described = describe(matrices, blocks.along, blocks.across) if blocks.descriptor and not depth else None
    if described is None or (described.layout == TRANSPOSED and not whole):
        # Behind the last input of a transposed matrix the next one begins, and zero times infinity is not zero.
        described = NOT_DESCRIBED
    return {
        "descriptor": described.descriptor,
        "LAYOUT": described.layout,
        "WHOLE_INPUTS": whole,
        "SHRINKS": 3 if blocks.tokens >= SHRUNK_FROM else 1,
    }
