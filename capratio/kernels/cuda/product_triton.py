"""The programs that multiply a tile of a group's tokens by a block of the group's matrix, in Triton.

The gather is part of the load, and each output has one writer. ``grouped_triton`` starts them, and says what they take.
"""

import triton.language as tl

from capratio.kernels.cuda.compiling_triton import add_product, compile_kernel
from capratio.kernels.cuda.matrix_descriptor import PLAIN, TRANSPOSED


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
def matrix_product(
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
def vector_product(
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
    """As ``matrix_product`` for few tokens: elements are multiplied one by one, and added up once, at the end."""
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
