"""Tokens times the matrices of their groups, in Triton: the gather is part of the load, and each output has one writer.

A group's matrix is the sum of the rows of a path: of depth 0 the one row of its key, else the k + 1 nodes of the leaf
that is its key, added in float32 where they are loaded.
"""

from typing import Any

import torch
import triton
import triton.language as tl

from capratio.kernels import cuda_blocks
from capratio.kernels.compiling_triton import add_product, compile_kernel, on_device
from capratio.kernels.cuda_blocks import ProductBlocks
from capratio.kernels.matrix_descriptor import NOT_DESCRIBED, PLAIN, TRANSPOSED, describe
from capratio.kernels.tiles_triton import Tiles, tile_order, tile_tokens
from capratio.kernels.token_tiles import TokenOrder

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
    tiles = Tiles(key, key, key) if few else tile_tokens(key, blocks.tokens, groups)
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
    kernel = _vector_product if vector else _matrix_product
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


@compile_kernel
def _load_path(
    matrices: tl.tensor,
    leaf: tl.tensor,
    row_stride: tl.tensor,
    offsets: tl.tensor,
    mask: tl.tensor,
    DEPTH: tl.constexpr,
    UNROLL: tl.constexpr,
) -> tl.tensor:
    """A block of the sum of a path's matrices, in float32 where there is more than one."""
    block = tl.load(matrices + (leaf >> DEPTH) * row_stride + offsets, mask=mask, other=0.0)
    if DEPTH > 0:
        block = block.to(tl.float32)
        if UNROLL:
            for level in tl.static_range(1, DEPTH + 1):
                row = (1 << level) - 1 + (leaf >> (DEPTH - level))
                block += tl.load(matrices + row * row_stride + offsets, mask=mask, other=0.0).to(tl.float32)
        else:
            for level in range(1, DEPTH + 1):
                row = (1 << level) - 1 + (leaf >> (DEPTH - level))
                block += tl.load(matrices + row * row_stride + offsets, mask=mask, other=0.0).to(tl.float32)
    return block


@compile_kernel
def _tile(
    order: tl.tensor,
    keys: tl.tensor,
    begin: tl.tensor,
    count: tl.tensor,
    SORTED: tl.constexpr,
    BLOCK_TOKENS: tl.constexpr,
) -> tuple[tl.tensor, tl.tensor, tl.tensor]:
    """The key of the tile that begins at a place, which of its places have that key, and the tokens there."""
    key = tl.load(keys + begin).to(tl.int64)
    places = begin + tl.arange(0, BLOCK_TOKENS)
    if SORTED:
        mine = (places < count) & (tl.load(keys + places, mask=places < count, other=-1).to(tl.int64) == key)
        return key, mine, tl.load(order + places, mask=mine, other=0)
    return key, places == begin, places


@compile_kernel
def _store(
    out: tl.tensor,
    bias: tl.tensor,
    tokens: tl.tensor,
    columns: tl.tensor,
    mine: tl.tensor,
    outputs: tl.tensor,
    sums: tl.tensor,
    BIASED: tl.constexpr,
    ADD: tl.constexpr,
) -> None:
    """Store the sums of a tile's tokens, with the bias, or add them to what is there."""
    if BIASED:
        sums += tl.load(bias + columns, mask=columns < outputs, other=0.0).to(tl.float32)[None, :]
    target = out + tokens[:, None].to(tl.int64) * outputs + columns[None, :]
    written = mine[:, None] & (columns < outputs)[None, :]
    if ADD:
        sums += tl.load(target, mask=written, other=0.0).to(tl.float32)
    tl.store(target, sums.to(out.dtype.element_ty), mask=written)


@compile_kernel
def _matrix_product(
    x: tl.tensor,
    matrices: tl.tensor,
    order: tl.tensor,
    keys: tl.tensor,
    begins: tl.tensor,
    bias: tl.tensor,
    out: tl.tensor,
    count: tl.tensor,
    outputs: tl.tensor,
    inputs: tl.tensor,
    x_token: tl.tensor,
    x_input: tl.tensor,
    matrix_row: tl.tensor,
    matrix_output: tl.tensor,
    matrix_input: tl.tensor,
    descriptor: tl.tensor,
    LAYOUT: tl.constexpr,
    WHOLE_INPUTS: tl.constexpr,
    SHRINKS: tl.constexpr,
    SORTED: tl.constexpr,
    DEPTH: tl.constexpr,
    BIASED: tl.constexpr,
    ADD: tl.constexpr,
    BLOCK_TOKENS: tl.constexpr,
    BLOCK_OUTPUTS: tl.constexpr,
    BLOCK_INPUTS: tl.constexpr,
) -> None:
    """A tile of tokens times a block of outputs, on tensor cores where the dtype has them.

    A group's last tile has as many tokens as are left: a half or a quarter of a large block will often do.
    """
    blocks = tl.cdiv(outputs, BLOCK_OUTPUTS)
    begin = (tl.program_id(0) // blocks).to(tl.int64)
    if SORTED:
        begin = tl.load(begins + begin)
    if begin >= count:
        return
    first = (tl.program_id(0) % blocks) * BLOCK_OUTPUTS
    _, mine, _ = _tile(order, keys, begin, count, SORTED, BLOCK_TOKENS)
    members = tl.sum(mine.to(tl.int32), axis=0)
    for shrink in tl.static_range(0, SHRINKS):
        fits = members <= (BLOCK_TOKENS >> shrink)
        if shrink + 1 < SHRINKS:
            fits = fits & (members > (BLOCK_TOKENS >> (shrink + 1)))
        if fits:
            _multiply_tile(
                x,
                matrices,
                order,
                keys,
                begin,
                bias,
                out,
                count,
                first,
                outputs,
                inputs,
                x_token,
                x_input,
                matrix_row,
                matrix_output,
                matrix_input,
                descriptor,
                LAYOUT,
                WHOLE_INPUTS,
                SORTED,
                DEPTH,
                BIASED,
                ADD,
                BLOCK_TOKENS >> shrink,
                BLOCK_OUTPUTS,
                BLOCK_INPUTS,
            )


@compile_kernel
def _multiply_tile(
    x: tl.tensor,
    matrices: tl.tensor,
    order: tl.tensor,
    keys: tl.tensor,
    begin: tl.tensor,
    bias: tl.tensor,
    out: tl.tensor,
    count: tl.tensor,
    first: tl.tensor,
    outputs: tl.tensor,
    inputs: tl.tensor,
    x_token: tl.tensor,
    x_input: tl.tensor,
    matrix_row: tl.tensor,
    matrix_output: tl.tensor,
    matrix_input: tl.tensor,
    descriptor: tl.tensor,
    LAYOUT: tl.constexpr,
    WHOLE_INPUTS: tl.constexpr,
    SORTED: tl.constexpr,
    DEPTH: tl.constexpr,
    BIASED: tl.constexpr,
    ADD: tl.constexpr,
    BLOCK_TOKENS: tl.constexpr,
    BLOCK_OUTPUTS: tl.constexpr,
    BLOCK_INPUTS: tl.constexpr,
) -> None:
    """The outputs from ``first`` on of the tile that begins at a place.

    The matrix stands on the left, where the tensor cores take 64 rows at least, so that 16 tokens fill them too.
    """
    key, mine, tokens = _tile(order, keys, begin, count, SORTED, BLOCK_TOKENS)
    rows = (first + tl.arange(0, BLOCK_OUTPUTS)).to(tl.int64)
    read = tl.arange(0, BLOCK_INPUTS)
    # Addresses move on by a step: found anew for each block, they took a tenth of the time.
    x_block = x + tokens[None, :].to(tl.int64) * x_token + read[:, None] * x_input
    offsets = rows[:, None] * matrix_output + read[None, :] * matrix_input
    sums = tl.zeros((BLOCK_OUTPUTS, BLOCK_TOKENS), tl.float32)
    for start in range(0, inputs, BLOCK_INPUTS):
        there = mine[None, :]
        if not WHOLE_INPUTS:
            there = there & (start + read < inputs)[:, None]
        right = tl.load(x_block, mask=there, other=0.0)
        if LAYOUT == PLAIN:
            left = descriptor.load([(key * outputs + first).to(tl.int32), start])
        elif LAYOUT == TRANSPOSED:
            left = descriptor.load([(key * inputs + start).to(tl.int32), first]).T
        else:
            inside = (rows < outputs)[:, None]
            if not WHOLE_INPUTS:
                inside = inside & (start + read < inputs)[None, :]
            # Not unrolled: every level would have buffers of its own, and at depth 3 they outgrow shared memory.
            left = _load_path(matrices, key, matrix_row, offsets, inside, DEPTH, False)
        sums = add_product(sums, left.to(right.dtype), right)
        x_block += BLOCK_INPUTS * x_input
        offsets += BLOCK_INPUTS * matrix_input
    columns = first + tl.arange(0, BLOCK_OUTPUTS)
    _store(out, bias, tokens, columns, mine, outputs, sums.T, BIASED, ADD)


@compile_kernel
def _vector_product(
    x: tl.tensor,
    matrices: tl.tensor,
    order: tl.tensor,
    keys: tl.tensor,
    begins: tl.tensor,
    bias: tl.tensor,
    out: tl.tensor,
    count: tl.tensor,
    outputs: tl.tensor,
    inputs: tl.tensor,
    x_token: tl.tensor,
    x_input: tl.tensor,
    matrix_row: tl.tensor,
    matrix_output: tl.tensor,
    matrix_input: tl.tensor,
    SORTED: tl.constexpr,
    DEPTH: tl.constexpr,
    BIASED: tl.constexpr,
    ADD: tl.constexpr,
    BLOCK_TOKENS: tl.constexpr,
    BLOCK_OUTPUTS: tl.constexpr,
    BLOCK_INPUTS: tl.constexpr,
) -> None:
    """As ``_matrix_product`` for few tokens: elements are multiplied one by one, and added up once, at the end."""
    blocks = tl.cdiv(outputs, BLOCK_OUTPUTS)
    begin = (tl.program_id(0) // blocks).to(tl.int64)
    if SORTED:
        begin = tl.load(begins + begin)
    if begin >= count:
        return
    key, mine, tokens = _tile(order, keys, begin, count, SORTED, BLOCK_TOKENS)
    columns = (tl.program_id(0) % blocks) * BLOCK_OUTPUTS + tl.arange(0, BLOCK_OUTPUTS)
    products = tl.zeros((BLOCK_TOKENS, BLOCK_OUTPUTS, BLOCK_INPUTS), tl.float32)
    for start in range(0, inputs, BLOCK_INPUTS):
        read = start + tl.arange(0, BLOCK_INPUTS)
        left = tl.load(
            x + tokens[:, None].to(tl.int64) * x_token + read[None, :].to(tl.int64) * x_input,
            mask=mine[:, None] & (read < inputs)[None, :],
            other=0.0,
        )
        offsets = columns[:, None].to(tl.int64) * matrix_output + read[None, :].to(tl.int64) * matrix_input
        inside = (columns < outputs)[:, None] & (read < inputs)[None, :]
        right = _load_path(matrices, key, matrix_row, offsets, inside, DEPTH, True)
        products += left.to(tl.float32)[:, None, :] * right.to(tl.float32)[None, :, :]
    _store(out, bias, tokens, columns, mine, outputs, tl.sum(products, axis=2), BIASED, ADD)
