"""Tokens times the matrices of their groups, in Triton: the gather is part of the load, and each output has one writer.

A group's matrix is the sum of the rows of a path: of depth 0 the one row of its key, else the k + 1 nodes of the leaf
that is its key, added in float32 where they are loaded.
"""

import torch
import triton
import triton.language as tl

from capratio.kernels import cuda_blocks
from capratio.kernels.compiling_triton import add_product, compile_kernel, on_device
from capratio.kernels.token_tiles import TokenOrder, single_tokens, sort_tokens


def arrange(key: torch.Tensor) -> TokenOrder:
    """Tokens sorted by key (N,), or as they come where they are few."""
    return single_tokens(key) if _few(key) else sort_tokens(key)


def _few(tokens: torch.Tensor) -> bool:
    return len(tokens) <= cuda_blocks.CUDA_BLOCKS.unsorted_up_to_tokens


def multiply(x: torch.Tensor, matrices: torch.Tensor, key: torch.Tensor, depth: int = 0) -> torch.Tensor:
    """out_n = (sum over l of matrices[row_l(key_n)]) x_n: (N, i), (R, o, i) of any strides, (N,) -> (N, o)."""
    out = x.new_empty(len(x), matrices.shape[1])
    multiply_into(out, x, matrices, arrange(key), depth)
    return out


def multiply_into(
    out: torch.Tensor,
    x: torch.Tensor,
    matrices: torch.Tensor,
    tokens: TokenOrder,
    depth: int = 0,
    *,
    add: bool = False,
) -> None:
    """Write the products into ``out`` (N, o), contiguous, or add them to it; tokens: as ``arrange`` gives them.

    Raises InputError for a dtype that has no blocks.
    """
    count, inputs = x.shape
    outputs = matrices.shape[1]
    groups = 2**depth if depth else len(matrices)
    few = _few(x)
    blocks = cuda_blocks.pick(cuda_blocks.CUDA_BLOCKS.product, x.itemsize, 1 if few else count, groups)
    if out.numel() == 0:
        return
    vector = blocks.method == "vector"
    # Of few tokens each is a group of its own; two of a key would be taken for one group.
    size = 1 if few else blocks.tokens
    begins = tokens.order if few else tokens.tiles(size, groups)
    by_outputs = vector and matrices.stride(2) == 1
    outputs_at_once, inputs_at_once = (blocks.across, blocks.along) if by_outputs else (blocks.along, blocks.across)
    kernel = _vector_product if vector else _matrix_product
    with on_device(x):
        kernel[(len(begins) * triton.cdiv(outputs, outputs_at_once),)](
            x,
            matrices,
            tokens.order,
            tokens.keys,
            begins,
            out,
            count,
            outputs,
            inputs,
            *x.stride(),
            *matrices.stride(),
            DEPTH=depth,
            ADD=add,
            BLOCK_TOKENS=size,
            BLOCK_OUTPUTS=outputs_at_once,
            BLOCK_INPUTS=inputs_at_once,
            num_warps=blocks.warps,
            num_stages=blocks.stages,
        )


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
    order: tl.tensor, keys: tl.tensor, begin: tl.tensor, count: tl.tensor, BLOCK_TOKENS: tl.constexpr
) -> tuple[tl.tensor, tl.tensor, tl.tensor]:
    """The key of the tile that begins at a place, which of its places have that key, and the tokens there."""
    key = tl.load(keys + begin)
    places = begin + tl.arange(0, BLOCK_TOKENS)
    mine = (places < count) & (tl.load(keys + places, mask=places < count, other=-1) == key)
    return key, mine, tl.load(order + places, mask=mine, other=0)


@compile_kernel
def _store(target: tl.tensor, written: tl.tensor, sums: tl.tensor, ADD: tl.constexpr) -> None:
    """Store the sums, or add them to what is there."""
    if ADD:
        sums += tl.load(target, mask=written, other=0.0).to(tl.float32)
    tl.store(target, sums.to(target.dtype.element_ty), mask=written)


@compile_kernel
def _matrix_product(
    x: tl.tensor,
    matrices: tl.tensor,
    order: tl.tensor,
    keys: tl.tensor,
    begins: tl.tensor,
    out: tl.tensor,
    count: tl.tensor,
    outputs: tl.tensor,
    inputs: tl.tensor,
    x_token: tl.tensor,
    x_input: tl.tensor,
    matrix_row: tl.tensor,
    matrix_output: tl.tensor,
    matrix_input: tl.tensor,
    DEPTH: tl.constexpr,
    ADD: tl.constexpr,
    BLOCK_TOKENS: tl.constexpr,
    BLOCK_OUTPUTS: tl.constexpr,
    BLOCK_INPUTS: tl.constexpr,
) -> None:
    """A tile of tokens times a block of outputs, on tensor cores where the dtype has them."""
    blocks = tl.cdiv(outputs, BLOCK_OUTPUTS)
    begin = tl.load(begins + tl.program_id(0) // blocks)
    if begin >= count:
        return
    key, mine, tokens = _tile(order, keys, begin, count, BLOCK_TOKENS)
    columns = (tl.program_id(0) % blocks) * BLOCK_OUTPUTS + tl.arange(0, BLOCK_OUTPUTS)
    sums = tl.zeros((BLOCK_TOKENS, BLOCK_OUTPUTS), tl.float32)
    for start in range(0, inputs, BLOCK_INPUTS):
        read = start + tl.arange(0, BLOCK_INPUTS)
        left = tl.load(
            x + tokens[:, None] * x_token + read[None, :].to(tl.int64) * x_input,
            mask=mine[:, None] & (read < inputs)[None, :],
            other=0.0,
        )
        offsets = read[:, None].to(tl.int64) * matrix_input + columns[None, :].to(tl.int64) * matrix_output
        inside = (read < inputs)[:, None] & (columns < outputs)[None, :]
        # Not unrolled: every level would have buffers of its own, and at depth 3 they outgrow shared memory.
        right = _load_path(matrices, key, matrix_row, offsets, inside, DEPTH, False)
        sums = add_product(sums, left, right.to(left.dtype))
    _store(out + tokens[:, None] * outputs + columns[None, :], mine[:, None] & (columns < outputs)[None, :], sums, ADD)


@compile_kernel
def _vector_product(
    x: tl.tensor,
    matrices: tl.tensor,
    order: tl.tensor,
    keys: tl.tensor,
    begins: tl.tensor,
    out: tl.tensor,
    count: tl.tensor,
    outputs: tl.tensor,
    inputs: tl.tensor,
    x_token: tl.tensor,
    x_input: tl.tensor,
    matrix_row: tl.tensor,
    matrix_output: tl.tensor,
    matrix_input: tl.tensor,
    DEPTH: tl.constexpr,
    ADD: tl.constexpr,
    BLOCK_TOKENS: tl.constexpr,
    BLOCK_OUTPUTS: tl.constexpr,
    BLOCK_INPUTS: tl.constexpr,
) -> None:
    """As ``_matrix_product`` for few tokens: elements are multiplied one by one, and added up once, at the end."""
    blocks = tl.cdiv(outputs, BLOCK_OUTPUTS)
    begin = tl.load(begins + tl.program_id(0) // blocks)
    if begin >= count:
        return
    key, mine, tokens = _tile(order, keys, begin, count, BLOCK_TOKENS)
    columns = (tl.program_id(0) % blocks) * BLOCK_OUTPUTS + tl.arange(0, BLOCK_OUTPUTS)
    products = tl.zeros((BLOCK_TOKENS, BLOCK_OUTPUTS, BLOCK_INPUTS), tl.float32)
    for start in range(0, inputs, BLOCK_INPUTS):
        read = start + tl.arange(0, BLOCK_INPUTS)
        left = tl.load(
            x + tokens[:, None] * x_token + read[None, :].to(tl.int64) * x_input,
            mask=mine[:, None] & (read < inputs)[None, :],
            other=0.0,
        )
        offsets = columns[:, None].to(tl.int64) * matrix_output + read[None, :].to(tl.int64) * matrix_input
        inside = (columns < outputs)[:, None] & (read < inputs)[None, :]
        right = _load_path(matrices, key, matrix_row, offsets, inside, DEPTH, True)
        products += left.to(tl.float32)[:, None, :] * right.to(tl.float32)[None, :, :]
    sums = tl.sum(products, axis=2)
    _store(out + tokens[:, None] * outputs + columns[None, :], mine[:, None] & (columns < outputs)[None, :], sums, ADD)
